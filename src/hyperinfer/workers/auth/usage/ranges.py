"""Days that a report is about. Pure."""

from datetime import UTC, date, datetime, time, timedelta

from hyperinfer.errors import BadRequest

MAX_DAYS = 366
DEFAULT_DAYS = 30
FIRST = date(2000, 1, 1)
LAST = date(9000, 1, 1)
"""Days beyond these are a mistake, and dates have an end."""


def days_of(since: date | None, until: date | None, *, today: date) -> tuple[date, date]:
    """The first and the last day of a report. Raises `BadRequest`."""
    last = until or today
    _check("until", last)
    first = since or last - timedelta(days=DEFAULT_DAYS - 1)
    check_days(first, last)
    return first, last


def check_days(since: date | None, until: date | None) -> None:
    """Raise `BadRequest` for a range that cannot be asked for."""
    for name, day in (("since", since), ("until", until)):
        if day is not None:
            _check(name, day)
    if since is None or until is None:
        return
    if since > until:
        raise BadRequest("since is later than until.", param="since")
    if (until - since).days >= MAX_DAYS:
        raise BadRequest(f"A range has at most {MAX_DAYS} days.", param="since")


def start_of(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """When a day has ended, in UTC."""
    return start_of(day + timedelta(days=1))


def _check(name: str, day: date) -> None:
    if not FIRST <= day <= LAST:
        raise BadRequest(f"{name} is a day between {FIRST} and {LAST}.", param=name)
