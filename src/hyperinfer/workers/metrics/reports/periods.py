"""The days and weeks that reports are about, their names, and when each is due. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from hyperinfer.contracts.reports import Kind
from hyperinfer.errors import BadRequest
from hyperinfer.workers.metrics.reports.config import ReportSettings

DAY = timedelta(days=1)
MADE_UP_DAYS = 7
"""How far back reports are made that nobody was there to make."""

_NAME = re.compile(r"usage-(?P<year>[0-9]{4})-(?:W(?P<week>[0-9]{2})|(?P<month>[0-9]{2})-(?P<day>[0-9]{2}))")


@dataclass(frozen=True, slots=True)
class Period:
    """A day, or a week from Monday to Sunday (ISO 8601), in UTC."""

    kind: Kind
    since: date
    until: date

    @property
    def name(self) -> str:
        """`usage-2026-11-20`, `usage-2026-W47`."""
        if self.kind == "daily":
            return f"usage-{self.since.isoformat()}"
        year, week, _ = self.since.isocalendar()
        return f"usage-{year:04}-W{week:02}"

    @property
    def title(self) -> str:
        """What a person calls it."""
        if self.kind == "daily":
            return f"{self.since:%A}, {self.since.day} {self.since:%B %Y}"
        week = self.since.isocalendar().week
        first = f"{self.since.day}"
        if self.since.month != self.until.month:
            first += f" {self.since:%B}"
        if self.since.year != self.until.year:
            first += f" {self.since.year}"
        return f"Week {week}, {first} to {self.until.day} {self.until:%B %Y}"

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.since, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.until + DAY, time(), UTC)


def day_of(day: date) -> Period:
    """A day."""
    return Period("daily", day, day)


def week_of(day: date) -> Period:
    """The week that a day is in."""
    monday = day - timedelta(days=day.weekday())
    return Period("weekly", monday, monday + timedelta(days=6))


def named(name: str) -> Period:
    """The period of a report's name. Raises `BadRequest` where the calendar has none."""
    found = _NAME.fullmatch(name)
    try:
        if found is None:
            raise ValueError
        if found["week"]:
            return week_of(date.fromisocalendar(int(found["year"]), int(found["week"]), 1))
        return day_of(date(int(found["year"]), int(found["month"]), int(found["day"])))
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            "No day and no week is called so. Names are such as usage-2026-11-20 and usage-2026-W47.", param="name"
        ) from error


def due(now: datetime, settings: ReportSettings, *, begun: date) -> Sequence[Period]:
    """What should be there by now, the oldest first: nothing of before the day on which this was `begun`, nor what would not be kept."""
    late = now - _after_midnight(settings)
    newest = late.date() - DAY
    days = [newest - back * DAY for back in reversed(range(MADE_UP_DAYS))]
    first = max(begun, oldest_kept(now, settings))
    wanted: list[Period] = []
    for day in days:
        if day < first:
            continue
        if settings.daily:
            wanted.append(day_of(day))
        if settings.weekly and day.isoweekday() == 7:
            wanted.append(week_of(day))
    return wanted


def oldest_kept(now: datetime, settings: ReportSettings) -> date:
    """What ended before this day is not kept any more."""
    return now.date() - settings.keep_days * DAY


def _after_midnight(settings: ReportSettings) -> timedelta:
    hours, _, minutes = settings.at.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))
