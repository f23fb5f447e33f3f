"""Usage, limits and the audit log as the client library shows them, and lists that come in pages."""

from datetime import date, datetime
from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

Grouping = Literal["day", "key", "model", "user", "status"]
Status = Literal["success", "error", "timeout", "cancelled"]
ReportForm = Literal["html", "csv", "text"]
Outcome = Literal["ok", "refused", "failed"]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list; `next` is the cursor of the page after it, if there is one."""

    data: tuple[T, ...]
    next: str | None = None


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over one group. `key` is the day, or the id or name that it stands for, `label` is what to show; `cost` is in
    the currency of the report, null where no price is configured."""

    key: str
    label: str
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: float | None = None


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Usage by group and in all, from the first day to the last (UTC)."""

    since: date
    until: date
    group: str
    rows: tuple[UsageRow, ...]
    total: UsageRow
    currency: str | None = None


class KeptReport(msgspec.Struct, frozen=True, kw_only=True):
    """A usage report of a day or a week (both days included, in UTC). `mailed_at` is null where it was sent to nobody."""

    name: str
    kind: str
    since: date
    until: date
    made_at: datetime
    requests: int
    total_tokens: int
    mailed_at: datetime | None = None


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request that reached a model. `estimated` says that tokens were counted by the gateway: the answer was cut."""

    id: str
    user_id: str | None
    api_key_id: str | None
    created_at: datetime
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


class QuotaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: what of (`user` or `key`), how much, how much is used and left, and when more is free."""

    of: str
    name: str
    limit: int
    used: int
    remaining: int
    resets_at: datetime | None = None


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How a caller stands to every limit; no row means that nothing limits."""

    tier: str
    limits: tuple[QuotaRow, ...] = ()


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the audit log. `actor` and `target` are subject ids, `actor_name` and `target_name` who that is
    while the account lasts."""

    seq: int
    at: datetime
    action: str
    outcome: str
    actor: str | None
    actor_name: str | None
    target: str | None
    target_name: str | None
    remote: str
    gateway: str
    request_id: str | None
    details: dict[str, str]
