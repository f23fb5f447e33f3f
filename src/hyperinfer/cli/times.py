"""Times as people type and read them: durations such as 30d, days, and moments in the time zone of this machine."""

import re
from datetime import datetime, time, timedelta

from hyperinfer.errors import BadRequest

UNITS = {"m": "minutes", "h": "hours", "d": "days"}

_DURATION = re.compile(r"([0-9]{1,5})([mhd])")


def duration(text: str, option: str) -> timedelta:
    """A duration such as 30m, 12h or 30d. Raises `BadRequest`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadRequest(f"{option} takes a number of minutes, hours or days, such as 30m, 12h or 30d.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def end(text: str, option: str, *, now: datetime) -> datetime:
    """When something ends: in such a time, at the end of a day such as 2027-01-31, or at a moment. Raises `BadRequest`."""
    if _DURATION.fullmatch(text.strip()):
        return now + duration(text, option)
    try:
        moment = datetime.fromisoformat(text.strip())
        if len(text.strip()) == len("2027-01-31"):
            moment = datetime.combine(moment, time(23, 59, 59))
        return moment.astimezone()
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"{option} takes a time from now on such as 12h or 30d, or a day such as 2027-01-31.", param="expires_at"
        ) from error


def start(text: str, option: str, *, now: datetime) -> datetime:
    """When something began: so long ago, at the beginning of a day such as 2027-01-31, or at a moment. Raises `BadRequest`."""
    if _DURATION.fullmatch(text.strip()):
        return now - duration(text, option)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"{option} takes how long ago, such as 10m or 2h, or a time such as 2027-01-31T10:00.", param="since"
        ) from error


def day(moment: datetime | None) -> str:
    """The day of a moment; nothing for none."""
    return moment.astimezone().strftime("%Y-%m-%d") if moment else ""


def minute(moment: datetime | None) -> str:
    """Day and time of a moment; nothing for none."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def second(moment: datetime | None) -> str:
    """Day and time of a moment to the second; nothing for none."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
