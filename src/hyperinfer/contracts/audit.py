"""The audit log: what was done, by whom, on whom, from where, and how it ended."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.contracts.acting import at_auth
from hyperinfer.contracts.method import ADMIN, Method, Nothing, Wire
from hyperinfer.contracts.people import Cursor, Id, PageSize, Text

Detail = Annotated[str, Meta(max_length=200)]
Outcome = Literal["ok", "refused", "failed"]


class AuditRow(Wire, frozen=True, omit_defaults=False):
    """One operation. `actor` and `target` are subject ids, `actor_name` and `target_name` who that is while the account
    lasts. `remote` is the address that the gateway saw, `gateway` the hex key of that gateway or `local`."""

    seq: int
    at: str
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


class AuditQuery(Wire, frozen=True):
    """Rows, newest first. `account_id` finds what an account did or what was done to it; `action` may end in `*`.
    Times are RFC 3339."""

    since: Annotated[str, Meta(max_length=40)] | None = None
    until: Annotated[str, Meta(max_length=40)] | None = None
    action: Text | None = None
    outcome: Outcome | None = None
    account_id: Id | None = None
    cursor: Cursor | None = None
    limit: PageSize = 50


class AuditRows(Wire, frozen=True, omit_defaults=False):
    """A page of the log; `next` is the cursor of the page after it, if there is one."""

    rows: tuple[AuditRow, ...] = ()
    next: str | None = None


class AuditHead(Wire, frozen=True):
    """The newest row of the log at a moment: its number, and its link in hexadecimal. Every member has a copy."""

    seq: Annotated[int, Meta(ge=1)]
    link: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    at: Annotated[datetime, Meta(tz=True)]


class Operation(Wire, frozen=True):
    """What an administrator is about to have a gateway do by itself. Details name things of ours, never people."""

    action: Literal["model.load_ordered", "model.unload_ordered", "alert.silenced"]
    details: Annotated[dict[Detail, Detail], Meta(max_length=8)] = {}


HEAD = "auditHead"
"""What the member list calls it."""

LIST_AUDIT = Method("listAudit", AuditQuery, AuditRows, ADMIN)

PASSED_ON = (LIST_AUDIT,)
"""What a gateway passes on to auth with who asks."""

NOTE_OPERATION = at_auth(Method("noteOperation", Operation, Nothing, ADMIN))
"""Auth's own: gateways have it written down before they do it, and do not do what could not be."""
