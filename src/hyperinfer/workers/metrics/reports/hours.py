"""At which hours was asked how much, drawn with table cells: bars of a day, squares of a week. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta

from hyperinfer.contracts.reports import Hour
from hyperinfer.workers.metrics.reports.figures import Report, count
from hyperinfer.workers.metrics.reports.markup import SHADES, el, section, table

HOURS = 24
BAR_PX = 72


def hours_of(report: Report) -> str:
    """The part of the page; none where no hour is known."""
    hours = report.summary.hours
    if not hours:
        return ""
    busiest = max(hours, key=lambda one: one.requests)
    if report.period.kind == "daily":
        drawn, when = _bars(hours), f"{busiest.hour:02}:00"
    else:
        drawn, when = _squares(report.period.since, hours), f"{busiest.day:%A} {busiest.hour:02}:00"
    return section("Hours", f"requests; most from {when} on, {count(busiest.requests)}") + drawn


def _bars(hours: Sequence[Hour]) -> str:
    asked = {one.hour: one.requests for one in hours}
    most = max(asked.values())

    def column(hour: int) -> str:
        requests = asked.get(hour, 0)
        height = f"height:{max(2, round(BAR_PX * requests / most))}px" if requests else ""
        content = el("div", "&nbsp;", "bar standing", style=height) if requests else ""
        return el("td", content, "column", valign="bottom", title=_title(hour, requests))

    return table(el("tr", "".join(map(column, range(HOURS)))) + _clock(), "fixed")


def _squares(monday: date, hours: Sequence[Hour]) -> str:
    asked = {(one.day, one.hour): one.requests for one in hours}
    most = max(asked.values())

    def square(day: date, hour: int) -> str:
        requests = asked.get((day, hour), 0)
        if not requests:
            return el("td", "&nbsp;", "track square", title=_title(hour, 0))
        shade = SHADES[(requests * len(SHADES) - 1) // most]
        return el("td", "&nbsp;", f"{shade} square", title=_title(hour, requests))

    def line(day: date) -> str:
        return el("tr", el("td", f"{day:%a}", "soft day") + "".join(square(day, hour) for hour in range(HOURS)))

    return table("".join(line(monday + timedelta(days=at)) for at in range(7)) + _clock(indent=True), "spaced")


def _title(hour: int, requests: int) -> str:
    return f"{hour:02}:00 {count(requests)}"


def _clock(*, indent: bool = False) -> str:
    hours = "".join(el("td", f"{hour:02}:00", "soft hour", colspan="6") for hour in range(0, HOURS, 6))
    return el("tr", ("<td></td>" if indent else "") + hours)
