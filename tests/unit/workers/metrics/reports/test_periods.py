"""Which reports are due when, and what they are called."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from hyperinfer.errors import BadRequest
from hyperinfer.workers.metrics.reports.config import ReportSettings
from hyperinfer.workers.metrics.reports.periods import Period, day_of, due, named, week_of

LONG_AGO = date(2020, 1, 1)


def names(periods: Sequence[Period]) -> list[str]:
    return [one.name for one in periods]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "name", "title"),
    [
        (day_of(date(2026, 11, 20)), "usage-2026-11-20", "Friday, 20 November 2026"),
        (week_of(date(2026, 11, 22)), "usage-2026-W47", "Week 47, 16 to 22 November 2026"),
        (week_of(date(2026, 12, 1)), "usage-2026-W49", "Week 49, 30 November to 6 December 2026"),
        # The week that 2026 ends in is its 53rd, and has three days of 2027.
        (week_of(date(2027, 1, 1)), "usage-2026-W53", "Week 53, 28 December 2026 to 3 January 2027"),
    ],
)
def test_a_period_has_a_name_that_leads_back_to_it(period: Period, name: str, title: str) -> None:
    assert (period.name, period.title, named(name)) == (name, title, period)


@pytest.mark.parametrize(
    "name", ["usage-2026-02-30", "usage-2026-W54", "usage-2025-W53", "usage-0000-01-01", "usage", "../x"]
)
def test_a_name_that_no_calendar_has_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="No day and no week"):
        named(name)


def test_a_day_is_due_some_minutes_after_it() -> None:
    settings = ReportSettings(weekly=False)
    before, after = at("2026-11-21T00:09:59"), at("2026-11-21T00:10:00")
    assert names(due(before, settings, begun=LONG_AGO))[-1] == "usage-2026-11-19"
    assert names(due(after, settings, begun=LONG_AGO))[-1] == "usage-2026-11-20"


def test_the_last_seven_days_are_made_up_and_the_week_among_them_once() -> None:
    assert names(due(at("2026-11-25T09:00:00"), ReportSettings(), begun=LONG_AGO)) == [
        "usage-2026-11-18",
        "usage-2026-11-19",
        "usage-2026-11-20",
        "usage-2026-11-21",
        "usage-2026-11-22",
        "usage-2026-W47",
        "usage-2026-11-23",
        "usage-2026-11-24",
    ]


def test_a_week_is_due_on_monday() -> None:
    settings = ReportSettings(daily=False)
    weeks = [names(due(at(f"2026-11-{day}T00:10:00"), settings, begun=LONG_AGO)) for day in (22, 23, 29)]
    assert weeks == [["usage-2026-W46"], ["usage-2026-W47"], ["usage-2026-W47"]]


def test_nothing_is_due_of_before_the_worker_was_there() -> None:
    now = at("2026-11-25T09:00:00")
    assert names(due(now, ReportSettings(), begun=date(2026, 11, 24))) == ["usage-2026-11-24"]
    assert due(now, ReportSettings(), begun=date(2026, 11, 25)) == []
    assert due(now, ReportSettings(daily=False, weekly=False), begun=LONG_AGO) == []
