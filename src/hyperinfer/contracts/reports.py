"""Usage reports: what auth sums up for the metrics worker, and the reports that it makes of that for administrators."""

from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta

from hyperinfer.contracts.method import ADMIN, Method, Nothing, Wire, members

MAX_DAYS = 31
MAX_SHARES = 100
"""Rows of one table; what is beyond them is in a last one."""
MAX_CELLS = 10_000
"""Rows of the finest table: with the longest names it still fits one message."""
OTHER = "other"

Kind = Literal["daily", "weekly"]
Form = Literal["html", "csv", "text"]


class SumUsage(Wire, frozen=True):
    """The days from `since` up to and including `until`, in UTC; `MAX_DAYS` at most."""

    since: date
    until: date


class Sums(Wire, frozen=True, omit_defaults=False):
    """Figures of some requests. Cancelled ones are no errors; `cost` is null where no price is configured."""

    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None = None


class Share(Wire, frozen=True, omit_defaults=False):
    """What one day, model, person, API key or worker has of it. `key` is its day, name, id or hex key, empty for what nothing
    stands for any more; `label` is what to show."""

    key: str
    label: str
    sums: Sums


class Hour(Wire, frozen=True, omit_defaults=False):
    """One hour of a day in UTC."""

    day: date
    hour: int
    requests: int
    tokens: int


class Failure(Wire, frozen=True, omit_defaults=False):
    """Requests that ended so, at a model."""

    status: str
    code: str
    model: str
    requests: int


class Percentiles(Wire, frozen=True, omit_defaults=False):
    """Of the requests that succeeded, in milliseconds, by nearest rank."""

    p50: float
    p95: float
    p99: float


class Cell(Wire, frozen=True, omit_defaults=False):
    """What one person has used in a day with one key at one model. Names are those of the summary."""

    day: date
    user_id: str | None
    key_id: str | None
    model: str
    sums: Sums


class UsageSummary(Wire, frozen=True, omit_defaults=False):
    """All that a report says of its days. `before` are the sums of as many days before them, `people` is how many have asked.

    Totals, days, people and keys are of sums that are kept without end; the rest is of single requests, which are there
    from `details_since` on where that is later than the first day. `hours` are those in which anything was asked. Tables have
    `MAX_SHARES` rows, the most tokens first, and then one named `other`.
    """

    since: date
    until: date
    total: Sums
    before: Sums
    people: int
    days: tuple[Share, ...] = ()
    models: tuple[Share, ...] = ()
    users: tuple[Share, ...] = ()
    keys: tuple[Share, ...] = ()
    workers: tuple[Share, ...] = ()
    hours: tuple[Hour, ...] = ()
    statuses: dict[str, int] = {}
    failures: tuple[Failure, ...] = ()
    response_ms: Percentiles | None = None
    first_token_ms: Percentiles | None = None
    details_since: date | None = None
    currency: str | None = None
    cells: tuple[Cell, ...] = ()
    usernames: dict[str, str] = {}
    key_names: dict[str, str] = {}


class ReportRow(Wire, frozen=True, omit_defaults=False):
    """A report that is kept. `made_at` and `mailed_at` are RFC 3339; the latter is null where it was not sent to anybody."""

    name: str
    kind: Kind
    since: date
    until: date
    made_at: str
    requests: int
    total_tokens: int
    mailed_at: str | None = None


class ReportRows(Wire, frozen=True, omit_defaults=False):
    """Every report that is kept, the newest first."""

    reports: tuple[ReportRow, ...] = ()


class ReadReport(Wire, frozen=True):
    """A report by its name: `usage-2026-11-20` of a day, `usage-2026-W47` of a week after ISO 8601.

    One that is not kept is made, as far back as there are figures; so is one whose day or week still lasts, of what there is.
    """

    name: Annotated[str, Meta(pattern=r"^usage-[0-9]{4}-([0-9]{2}-[0-9]{2}|W[0-9]{2})$")]
    form: Form = "html"


class ReportText(Wire, frozen=True, omit_defaults=False):
    """A report in one of its forms."""

    name: str
    form: Form
    text: str


SUM_USAGE = Method("sumUsage", SumUsage, UsageSummary, members("metrics"))
"""Auth's own. It names people, and so is the metrics worker's alone."""

LIST_REPORTS = Method("listReports", Nothing, ReportRows, ADMIN)
READ_REPORT = Method("readReport", ReadReport, ReportText, ADMIN)

PASSED_ON: tuple[Method[Any, Any], ...] = (LIST_REPORTS, READ_REPORT)
"""What a gateway passes on to the metrics worker for administrators."""
