"""A report as CSV: one row for each day, person, API key and model, whose sums are the totals of the report. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date

from hyperinfer.contracts.reports import OTHER, Cell, Sums, UsageSummary
from hyperinfer.protocol.spreadsheet import csv_line

COLUMNS = (
    "day",
    "user",
    "api_key",
    "model",
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost",
    "currency",
)
GONE = "deleted account"
NO_KEY = ""


def csv_of(summary: UsageSummary) -> str:
    """The table. It has no row with totals, which a spreadsheet would add to them; what is in no row of its own is in one of each
    day, named `other`."""
    by_day: dict[date, list[Cell]] = defaultdict(list)
    for cell in summary.cells:
        by_day[cell.day].append(cell)
    lines = [csv_line(COLUMNS)]
    for share in sorted(summary.days, key=lambda one: one.key):
        day = date.fromisoformat(share.key)
        cells = sorted(by_day[day], key=lambda cell: -cell.sums.prompt_tokens - cell.sums.completion_tokens)
        lines += (_line(summary, cell) for cell in cells)
        lines += _rest(summary, day, share.sums, [cell.sums for cell in cells])
    return "".join(lines)


def _line(summary: UsageSummary, cell: Cell) -> str:
    user = GONE if cell.user_id is None else summary.usernames.get(cell.user_id, GONE)
    key = NO_KEY if cell.key_id is None else summary.key_names.get(cell.key_id, NO_KEY)
    return _row(summary, cell.day, (user, key, cell.model), cell.sums)


def _rest(summary: UsageSummary, day: date, total: Sums, shown: Sequence[Sums]) -> Iterator[str]:
    requests = total.requests - sum(one.requests for one in shown)
    if requests <= 0:
        return
    cost = None if total.cost is None else max(0.0, total.cost - sum(one.cost or 0.0 for one in shown))
    rest = Sums(
        requests=requests,
        errors=total.errors - sum(one.errors for one in shown),
        prompt_tokens=total.prompt_tokens - sum(one.prompt_tokens for one in shown),
        completion_tokens=total.completion_tokens - sum(one.completion_tokens for one in shown),
        cost=cost,
    )
    yield _row(summary, day, (OTHER, OTHER, OTHER), rest)


def _row(summary: UsageSummary, day: date, names: tuple[str, str, str], sums: Sums) -> str:
    tokens = (sums.prompt_tokens, sums.completion_tokens, sums.prompt_tokens + sums.completion_tokens)
    currency = summary.currency if sums.cost is not None else None
    return csv_line((day.isoformat(), *names, sums.requests, sums.errors, *tokens, sums.cost, currency))
