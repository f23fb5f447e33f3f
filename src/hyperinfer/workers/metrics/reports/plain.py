"""A report as text, for terminals and for e-mail programs that show no HTML. Pure."""

from collections.abc import Iterator, Sequence

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
    so_far,
    times_of,
    tokens_of,
    workers_of,
)

COLUMNS = 78
"""What terminals and e-mail programs show without breaking a line."""
BAR, GAP = 20, "  "
NOTHING = "Nothing was asked in this time."
LABEL = 30


def text_of(report: Report) -> str:
    """The text, in lines."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    summary, period = report.summary, report.period
    yield f"Usage: {period.title} (UTC)"
    if note := so_far(report):
        yield note
    yield ""
    if not summary.total.requests:
        yield NOTHING
        return
    yield from _totals(report)
    if note := not_kept(summary):
        yield ""
        yield note
    tables = [
        ("Days", days_of(summary)),
        ("Models", rows_of(summary.models)),
        ("People", rows_of(summary.users)),
        ("API keys", rows_of(summary.keys)),
        ("Workers", workers_of(report)),
    ]
    columns = min(LABEL, max(len(row.label) for _, rows in tables for row in rows))
    for title, rows in tables:
        yield from _table(title, rows, columns, summary.currency)
    yield from _times(report)
    yield from _failures(report)


def _totals(report: Report) -> Iterator[str]:
    now, before, than = report.summary.total, report.summary.before, before_of(report.period)

    def line(name: str, text: str, *, with_change: tuple[float, float] | None = None) -> str:
        said = "" if report.lasts or with_change is None else f"   {change(*with_change, than=than)}"
        return f"{name:<12}{text:>16}{said}"

    yield line("requests", count(now.requests), with_change=(now.requests, before.requests))
    yield line("tokens", count(tokens_of(now)), with_change=(tokens_of(now), tokens_of(before)))
    yield line("  in", count(now.prompt_tokens))
    yield line("  out", count(now.completion_tokens))
    yield line("errors", count(now.errors), with_change=(now.errors, before.errors))
    yield line("error rate", percent(now.errors / now.requests))
    yield line("people", count(report.summary.people))
    if report.summary.currency and (cost := money(now.cost)):
        yield line("cost", f"{cost} {report.summary.currency}", with_change=(now.cost or 0.0, before.cost or 0.0))


def _table(title: str, rows: Sequence[Row], columns: int, currency: str | None) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"{title:<{columns + 2}}{'requests':>11}{'tokens':>15}"
    lines = [_cells(row, columns, currency) for row in rows]
    room = min(BAR, COLUMNS - max(map(len, lines)) - len(GAP))
    most = max(row.tokens for row in rows) or 1
    for row, line in zip(rows, lines, strict=True):
        bar = "#" * round(room * row.tokens / most)
        yield f"{line:<{max(map(len, lines))}}{GAP}{bar}".rstrip()


def _cells(row: Row, columns: int, currency: str | None) -> str:
    name = row.label if len(row.label) <= columns else row.label[: columns - 1] + "…"
    line = f"  {name:<{columns}}{count(row.sums.requests):>11}{count(row.tokens):>15}"
    if currency and (cost := money(row.sums.cost)):
        line += f"{cost:>10} {currency}"
    return line if row.present is None else f"{line}{GAP}up {percent(row.present)}"


def _times(report: Report) -> Iterator[str]:
    timed = times_of(report.summary)
    if not timed:
        return
    yield ""
    yield f"{'Took at most':<16}{'half':>14}{'95 %':>14}{'99 %':>14}   (if it went well)"
    for name, one in timed:
        yield f"  {name:<14}{duration(one.p50):>14}{duration(one.p95):>14}{duration(one.p99):>14}"


def _failures(report: Report) -> Iterator[str]:
    if not report.summary.failures:
        return
    yield ""
    yield "Errors"
    for one in report.summary.failures[:SHOWN_ROWS]:
        yield f"  {label_of(one.code or one.status):<24}  {count(one.requests):>9}  {label_of(one.model)}".rstrip()
