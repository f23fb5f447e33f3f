"""What was used: one record for each request, delivered by gateways to auth, and the reports made of them."""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.contracts.acting import GATEWAYS
from hyperinfer.contracts.method import ADMIN, Method, Nothing, Wire, user
from hyperinfer.contracts.people import Cursor, Id, PageSize, Text

Status = Literal["success", "error", "timeout", "cancelled"]
"""`cancelled` is a caller who hung up; `error` includes a gateway that was killed in the middle."""

MAX_BATCH = 500


class UsageRecord(Wire, frozen=True):
    """One request that reached a model.

    `id` is a UUIDv7 that the gateway has minted; `request_id` is the caller's own label and identifies nothing.
    `prompt_hash` is HMAC-SHA256 of the prompt under a key that stays with the gateway, in hex. `worker` is the hex
    key of the inference worker. `estimated` says that tokens were counted by the gateway, not by the engine: the
    answer was cut. Times in milliseconds; `started_at` in UTC.
    """

    id: Annotated[str, Meta(min_length=36, max_length=36)]
    user_id: Annotated[str, Meta(max_length=36)]
    started_at: datetime
    status: Status
    model: Annotated[str, Meta(max_length=200)]
    api_key_id: Annotated[str, Meta(max_length=36)] | None = None
    kind: Annotated[str, Meta(max_length=20)] = "chat"
    worker: Annotated[str, Meta(max_length=64)] = ""
    prompt_hash: Annotated[str, Meta(max_length=64)] = ""
    request_id: Annotated[str, Meta(max_length=128)] | None = None
    error_code: Annotated[str, Meta(max_length=40)] | None = None
    prompt_tokens: Annotated[int, Meta(ge=0, le=2**31)] = 0
    completion_tokens: Annotated[int, Meta(ge=0, le=2**31)] = 0
    first_token_ms: Annotated[float, Meta(ge=0)] | None = None
    duration_ms: Annotated[float, Meta(ge=0)] = 0.0
    estimated: bool = False


class RecordUsage(Wire, frozen=True):
    """Records to be counted. One that is there already is not counted again."""

    records: Annotated[tuple[UsageRecord, ...], Meta(max_length=MAX_BATCH)]


class Recorded(Wire, frozen=True, omit_defaults=False):
    """Records by id that are in the ledger now and need not be sent again, and those that make no sense and why."""

    ids: tuple[str, ...] = ()
    refused: dict[str, str] = {}


MAX_ROWS = 1000
OTHER = "other"

Grouping = Literal["day", "key", "model", "user", "status"]


class UsageQuery(Wire, frozen=True):
    """Usage from `since` up to and including `until` (days in UTC, the last 30 by default, 366 at most), by `group`.

    `user_id` is for administrators; with an API key that has not the scope `account`, only its own usage is shown.
    By model or status it goes back as far as single requests are kept, otherwise without end.
    """

    since: date | None = None
    until: date | None = None
    group: Grouping = "day"
    api_key_id: Id | None = None
    model: Text | None = None
    user_id: Id | None = None


class UsageRow(Wire, frozen=True, omit_defaults=False):
    """Sums over one group; `key` is the day, or the id or name that it stands for, `label` is what to show.

    `key` is empty for what no id stands for any more, or ever did: deleted accounts, and what was asked without a key.
    Cancelled requests are no errors. `cost` is in the currency of the report, null where no price is configured.
    """

    key: str
    label: str
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: float | None = None


class UsageReport(Wire, frozen=True, omit_defaults=False):
    """Usage by group and in all: days in their order, everything else by tokens, the most first; what is beyond
    `MAX_ROWS` is in one row named `other`. Requests under way are not in it; those ended are within seconds."""

    since: date
    until: date
    group: str
    rows: tuple[UsageRow, ...]
    total: UsageRow
    currency: str | None = None


class RequestQuery(Wire, frozen=True):
    """Single requests, newest first, of as long as they are kept. `user_id` is for administrators."""

    since: date | None = None
    until: date | None = None
    status: Status | None = None
    model: Text | None = None
    api_key_id: Id | None = None
    user_id: Id | None = None
    cursor: Cursor | None = None
    limit: PageSize = 50


class RequestRow(Wire, frozen=True, omit_defaults=False):
    """One request of the log. `username` and `key_name` are what to show for the ids, while they are there."""

    id: str
    user_id: str | None
    api_key_id: str | None
    created_at: str
    model: str
    status: str
    error_code: str | None
    prompt_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    response_time_ms: float
    worker: str
    request_id: str | None
    prompt_hash: str
    estimated: bool
    cost: float | None = None
    username: str | None = None
    key_name: str | None = None


class Requests(Wire, frozen=True, omit_defaults=False):
    """A page of requests; `next` is the cursor of the page after it, if there is one."""

    requests: tuple[RequestRow, ...] = ()
    next: str | None = None


class QuotaRow(Wire, frozen=True, omit_defaults=False):
    """One limit: what of (`user` or `key`), how much, how much is used and left, and when more is free (RFC 3339)."""

    of: str
    name: str
    limit: int
    used: int
    remaining: int
    resets_at: str | None = None


class Quota(Wire, frozen=True, omit_defaults=False):
    """How a caller stands to every limit; no row means that nothing limits."""

    tier: str
    limits: tuple[QuotaRow, ...] = ()


GET_USAGE = Method("getUserUsage", UsageQuery, UsageReport, user("usage"))
LIST_REQUESTS = Method("listRequests", RequestQuery, Requests, user("usage"))
GET_ALL_USAGE = Method("getAllUsage", UsageQuery, UsageReport, ADMIN)
LIST_ALL_REQUESTS = Method("listAllRequests", RequestQuery, Requests, ADMIN)
GET_QUOTA = Method("getUserQuota", Nothing, Quota, user("usage"))
"""The gateway answers this one itself."""

PASSED_ON = (GET_USAGE, LIST_REQUESTS, GET_ALL_USAGE, LIST_ALL_REQUESTS)
"""What a gateway passes on to auth with who asks."""

RECORD_USAGE = Method("recordUsage", RecordUsage, Recorded, GATEWAYS, quiet=True)
"""Auth's own; idempotent by record id."""
