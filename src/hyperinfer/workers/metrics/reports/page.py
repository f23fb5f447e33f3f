"""A report as HTML that can be mailed: tables, no script, nothing to be fetched. What people have chosen (names of theirs, of keys,
of models) is text in it and nothing else. Pure."""

from collections.abc import Callable, Iterator, Sequence

from hyperinfer.contracts.reports import Sums
from hyperinfer.workers.metrics.reports.figures import (
    SHOWN_ROWS,
    Report,
    Row,
    before_of,
    change,
    count,
    days_of,
    duration,
    label_of,
    money,
    not_kept,
    percent,
    rows_of,
    short,
    so_far,
    times_of,
    tokens_of,
    workers_of,
)
from hyperinfer.workers.metrics.reports.hours import hours_of
from hyperinfer.workers.metrics.reports.markup import bar, document, el, said, section, table, words

NOTHING = "Nothing was asked in this time."


def html_of(report: Report) -> str:
    """The page."""
    return document(f"Usage: {report.period.title}", "".join(_parts(report)))


def _parts(report: Report) -> Iterator[str]:
    summary = report.summary
    yield el("div", "hyperinfer usage report", "soft small")
    yield el("h1", said(report.period.title), "ink h1")
    yield el("div", said(so_far(report) or "From midnight to midnight, UTC."), "soft small")
    if not summary.total.requests:
        yield words(NOTHING)
    else:
        yield el("div", "".join(_tiles(report)), "tiles")
        if note := not_kept(summary):
            yield words(note)
        yield hours_of(report)
        yield _table("Days", days_of(summary), summary.currency)
        yield _table("Models", rows_of(summary.models), summary.currency)
        yield _table("People", rows_of(summary.users), summary.currency)
        yield _table("API keys", rows_of(summary.keys), summary.currency)
        yield _table("Workers", workers_of(report), summary.currency)
        yield _times(report)
        yield _failures(report)
    yield _foot(report)


def _tiles(report: Report) -> Iterator[str]:
    now, before, than = report.summary.total, report.summary.before, before_of(report.period)

    def against(figure: Callable[[Sums], float]) -> str:
        return "" if report.lasts else change(figure(now), figure(before), than=than)

    in_and_out = f"{short(now.prompt_tokens)} tokens in, {short(now.completion_tokens)} out"
    yield _tile("Requests", short(now.requests), against(lambda sums: sums.requests))
    yield _tile("Tokens", short(tokens_of(now)), against(tokens_of))
    yield _tile("Errors", short(now.errors), f"{percent(now.errors / now.requests)} of requests")
    yield _tile("People", count(report.summary.people), in_and_out)
    if report.summary.currency and (cost := money(now.cost)):
        yield _tile(f"Cost in {report.summary.currency}", cost, against(lambda sums: sums.cost or 0.0))


def _tile(name: str, figure: str, more: str) -> str:
    lines = (
        el("div", said(name), "soft small")
        + el("div", said(figure), "ink figure")
        + el("div", said(more), "soft small")
    )
    return el("div", el("div", lines, "tile"), "slot")


def _table(title: str, rows: Sequence[Row], currency: str | None) -> str:
    if not rows:
        return ""
    most = max(row.tokens for row in rows) or 1
    priced = currency is not None and any(row.sums.cost is not None for row in rows)
    watched = any(row.present is not None for row in rows)
    titles = [
        el("th", "requests", "soft title"),
        el("th", "errors", "soft title wide"),
        el("th", "tokens", "soft title"),
    ]
    titles += [el("th", said(currency or ""), "soft title")] if priced else []
    titles += [el("th", "up", "soft title")] if watched else []

    def line(row: Row) -> str:
        cells = [
            el("td", said(row.label) + bar(row.tokens / most), "name line"),
            el("td", count(row.sums.requests), "number line"),
            el("td", count(row.sums.errors), "red number line wide" if row.sums.errors else "number line wide"),
            el("td", short(row.tokens), "number line"),
        ]
        cells += [el("td", money(row.sums.cost), "number line")] if priced else []
        cells += [el("td", _part(row.present), "number line")] if watched else []
        return el("tr", "".join(cells))

    return section(title, "by tokens") + table(el("tr", el("th", "") + "".join(titles)) + "".join(map(line, rows)))


def _part(present: float | None) -> str:
    return "" if present is None else said(percent(present))


def _times(report: Report) -> str:
    timed = times_of(report.summary)
    if not timed:
        return ""
    titles = "".join(el("th", name, "soft title") for name in ("half", "95 %", "99 %"))
    lines = "".join(
        el(
            "tr",
            el("td", said(name), "name line")
            + "".join(el("td", duration(ms), "number line") for ms in (one.p50, one.p95, one.p99)),
        )
        for name, one in timed
    )
    heading = section("Times", "in which so many of those that succeeded were answered")
    return heading + table(el("tr", el("th", "") + titles) + lines)


def _failures(report: Report) -> str:
    cancelled = report.summary.statuses.get("cancelled", 0)
    heading = section("Errors", f"{count(cancelled)} more were cancelled by who asked" if cancelled else "")
    failures = report.summary.failures[:SHOWN_ROWS]
    if not failures:
        return heading + words("None." if not report.summary.total.errors else "They are not kept any more.")
    lines = (
        el("td", said(label_of(one.code or one.status)), "name line")
        + el("td", said(label_of(one.model)), "name line")
        + el("td", count(one.requests), "red number line")
        for one in failures
    )
    return heading + table("".join(el("tr", line) for line in lines))


def _foot(report: Report) -> str:
    made = (
        f"Made by hyperinfer's metrics worker on {report.made_at:%Y-%m-%d at %H:%M} UTC. Every row, for a spreadsheet: "
    )
    command = f"hyperinfer usage report {report.period.name} --csv {report.period.name}.csv"
    return el("div", said(made) + el("code", said(command)), "soft small line foot")
