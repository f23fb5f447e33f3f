"""What a report says, whatever form it takes: figures in words, names that are harmless, what belongs to which row. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hyperinfer.contracts.reports import OTHER, Percentiles, Share, Sums, UsageSummary
from hyperinfer.workers.metrics.reports.periods import Period

LABEL_CHARS = 48
SHOWN_ROWS = 10
"""Rows of one table on a page; the rest is in the CSV."""
NOBODY = "no worker"
"""Where a request ended before one had it."""
THOUSAND = 1000
NO_PRESENCE: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Report:
    """A period and all that is known of it. `workers` are names by hex key; `present` is for which part of the period each answered,
    where that is known. `made_at` before the period's end says that it still lasts."""

    period: Period
    summary: UsageSummary
    made_at: datetime
    workers: Mapping[str, str]
    present: Mapping[str, float]

    @property
    def lasts(self) -> bool:
        """Whether this is of a period that is not over."""
        return self.made_at < self.period.ends


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: what to show, its figures, and for a worker which part of the time it was there."""

    label: str
    sums: Sums
    present: float | None = None

    @property
    def tokens(self) -> int:
        """In and out."""
        return tokens_of(self.sums)


def tokens_of(sums: Sums) -> int:
    """Tokens of prompts and of completions."""
    return sums.prompt_tokens + sums.completion_tokens


def rows_of(shares: Sequence[Share], present: Mapping[str, float] = NO_PRESENCE) -> tuple[Row, ...]:
    """The first rows of a table, and one for all others."""
    rows = [Row(label_of(one.label or one.key), one.sums, present.get(one.key)) for one in shares]
    if len(rows) <= SHOWN_ROWS:
        return tuple(rows)
    rest = rows[SHOWN_ROWS - 1 :]
    has_other = shares[-1].key == OTHER
    label = "all others" if has_other else f"{len(rest)} others"
    return (*rows[: SHOWN_ROWS - 1], Row(label, _added([row.sums for row in rest])))


def workers_of(report: Report) -> tuple[Row, ...]:
    """Workers by their names, and those that were there and had nothing to do."""
    asked = [Share(key=one.key, label=_worker(report, one), sums=one.sums) for one in report.summary.workers]
    seen = {one.key for one in asked}
    idle = [
        Share(key=key, label=report.workers.get(key, key[:12]), sums=Sums(0, 0, 0, 0))
        for key in sorted(report.present, key=lambda key: report.workers.get(key, key))
        if key not in seen and report.summary.details_since is None
    ]
    return rows_of((*asked, *idle), report.present)


def days_of(summary: UsageSummary) -> tuple[Row, ...]:
    """The days in their order, where there are several."""
    if summary.since == summary.until:
        return ()
    days = sorted(((date.fromisoformat(one.key), one.sums) for one in summary.days), key=lambda one: one[0])
    return tuple(Row(f"{day:%a} {day}", sums) for day, sums in days)


def times_of(summary: UsageSummary) -> Sequence[tuple[str, Percentiles]]:
    """How long answers took, where that is known."""
    found = (("First token", summary.first_token_ms), ("Whole answer", summary.response_ms))
    return [(name, one) for name, one in found if one is not None]


def so_far(report: Report) -> str:
    """What to say of a period that is not over."""
    return f"So far: it is {report.made_at:%Y-%m-%d %H:%M} UTC." if report.lasts else ""


def not_kept(summary: UsageSummary) -> str:
    """What to say where single requests are not kept any more."""
    if summary.details_since is None:
        return ""
    if summary.details_since > summary.until:
        return "Models, workers, hours, times and errors are not known any more: single requests are not kept so long."
    return f"Models, workers, hours, times and errors are known from {summary.details_since} on: older requests are not kept."


def label_of(text: str) -> str:
    """A name that somebody chose, as it may stand on a page: of one line, without what turns text round or hides it."""
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return shown if len(shown) <= LABEL_CHARS else shown[: LABEL_CHARS - 1] + "…"


def count(number: int) -> str:
    """A whole number with its thousands marked."""
    return f"{number:,}"


def short(number: int) -> str:
    """The same where there is little room: 12.3 k, 4.56 M."""
    if number < 10 * THOUSAND:
        return count(number)
    size: float = number
    for unit in ("k", "M", "G", "T"):
        size /= THOUSAND
        if size < THOUSAND - 0.5:
            return f"{size:.3g} {unit}"
    return f"{size:,.0f} T"


def percent(part: float) -> str:
    """A share of one in percent; what is not all never looks like it."""
    if 0 < part < 0.001:
        return "< 0.1 %"
    if 0.999 < part < 1:
        return "> 99.9 %"
    return f"{part * 100:.3g} %"


def money(cost: float | None) -> str:
    """What something cost, in the currency of the report; nothing where that is not known."""
    if cost is None:
        return ""
    return f"{cost:.2g}" if 0 < cost < 0.01 else f"{cost:,.2f}"


def duration(ms: float) -> str:
    """A time that somebody waited."""
    if ms < THOUSAND:
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"
    seconds = ms / THOUSAND
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds / 3600:.3g} h"


def change(now: float, before: float, *, than: str) -> str:
    """How much more or less than before; `than` is what it is compared with."""
    if now == before:
        return f"as {than}"
    if not before:
        return f"none {than}"
    part = (now - before) / before
    if abs(part) < 0.005:
        return f"as {than}"
    times = now / before
    if times >= 10:
        return f"{times:,.0f} times {than}"
    return f"{part * 100:+.0f} % on {than}"


def before_of(period: Period) -> str:
    """What a period is compared with."""
    return "the day before" if period.kind == "daily" else "the week before"


def _worker(report: Report, share: Share) -> str:
    if share.key == OTHER:
        return OTHER
    return report.workers.get(share.key, share.key[:12]) or NOBODY


def _added(sums: Sequence[Sums]) -> Sums:
    costs = [one.cost for one in sums if one.cost is not None]
    return Sums(
        requests=sum(one.requests for one in sums),
        errors=sum(one.errors for one in sums),
        prompt_tokens=sum(one.prompt_tokens for one in sums),
        completion_tokens=sum(one.completion_tokens for one in sums),
        cost=sum(costs) if costs else None,
    )
