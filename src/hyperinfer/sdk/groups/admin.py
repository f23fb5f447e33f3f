"""What administrators do: `client.admin`. It takes a session of an administrator, or such a one's key with the scope `admin`."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypedDict, Unpack

from hyperinfer.sdk.calls import MAX_PAGE, Calls, at, each
from hyperinfer.sdk.groups.models import PlacedModels
from hyperinfer.sdk.groups.usage import AllUsage
from hyperinfer.sdk.health import Alert, AlertTried, History, HistoryQuery, LogQuery, SystemHealth
from hyperinfer.sdk.people import CreatedUser, Invite, Limits, NewReset, Role, Tier, User
from hyperinfer.sdk.reports import AuditRow, KeptReport, Outcome, Page, ReportForm

USERS = "/api/admin/users"
INVITES = "/api/admin/invites"
REPORTS = "/api/admin/reports"
REPORT_TIMEOUT_S = 300.0
SYSTEM = "/api/admin/system"
ALERTS = "/api/admin/alerts"
TEST_TIMEOUT_S = 35.0
"""A little longer than the gateway waits for those who are told of alerts."""
LOGS_TIMEOUT_S = 65.0
"""A little longer than the gateway gives the workers to look for their lines."""


class AuditQuery(TypedDict, total=False):
    """Which rows of the audit log. Times are RFC 3339; `account_id` finds what an account did or what was done to it;
    `action` may end in `*`."""

    since: str | None
    until: str | None
    action: str | None
    outcome: Outcome | None
    account_id: str | None


class Users:
    """Accounts."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, query: str = "", *, cursor: str | None = None, limit: int = 50) -> Page[User]:
        """A page of accounts, oldest first; `query` is a part of a username or e-mail."""
        return await self._calls.get(USERS, Page[User], query=query or None, cursor=cursor, limit=limit)

    def each(self, query: str = "") -> AsyncGenerator[User]:
        """Every account, page by page."""
        return each(lambda cursor: self.list(query, cursor=cursor, limit=MAX_PAGE))

    async def get(self, user_id: str) -> User:
        """One account by its id."""
        return await self._calls.get(at(USERS, user_id), User)

    async def create(
        self,
        *,
        email: str,
        username: str | None = None,
        password: str | None = None,
        role: Role = "user",
        tier: str = "default",
    ) -> CreatedUser:
        """Make an account; without a password, with a one-time token by which its holder sets one."""
        return await self._calls.send(
            "POST", USERS, CreatedUser, email=email, username=username, password=password, role=role, tier=tier
        )

    async def update(
        self,
        user_id: str,
        *,
        role: Role | None = None,
        tier: str | None = None,
        is_active: bool | None = None,
        limits: Limits | None = None,
    ) -> User:
        """Change an account; what is left out stays. `limits` take the place of those before; empty ones remove them."""
        return await self._calls.send(
            "PATCH", at(USERS, user_id), User, role=role, tier=tier, is_active=is_active, limits=limits
        )

    async def remove(self, user_id: str) -> None:
        """Remove an account. It cannot be undone."""
        await self._calls.do("DELETE", at(USERS, user_id))

    async def reset_password(self, user_id: str) -> NewReset:
        """A one-time token with which its holder sets a new password; older ones end."""
        return await self._calls.send("POST", f"{at(USERS, user_id)}/reset", NewReset)


class Invites:
    """Invitations to register."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> tuple[Invite, ...]:
        """Invitations, newest first."""
        return (await self._calls.get(INVITES, Page[Invite])).data

    async def create(
        self, *, email: str | None = None, role: Role = "user", tier: str = "default", valid_s: int = 7 * 24 * 3600
    ) -> Invite:
        """A code with which somebody may register, once; with an `email`, only under that one. It is shown this once."""
        return await self._calls.send("POST", INVITES, Invite, email=email, role=role, tier=tier, valid_s=valid_s)

    async def revoke(self, invite_id: str) -> Invite:
        """Take an invitation back."""
        return await self._calls.send("DELETE", at(INVITES, invite_id), Invite)


class Audit:
    """The audit log."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, *, cursor: str | None = None, limit: int = 50, **query: Unpack[AuditQuery]) -> Page[AuditRow]:
        """A page of it, newest first."""
        return await self._calls.get("/api/admin/audit", Page[AuditRow], cursor=cursor, limit=limit, **query)

    def each(self, **query: Unpack[AuditQuery]) -> AsyncGenerator[AuditRow]:
        """Every row, page by page."""
        return each(lambda cursor: self.list(cursor=cursor, limit=MAX_PAGE, **query))


class Reports:
    """Usage reports, which the metrics worker makes."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> tuple[KeptReport, ...]:
        """Those that are kept, newest first."""
        return (await self._calls.get(REPORTS, Page[KeptReport])).data

    async def read(self, name: str, *, form: ReportForm = "html") -> str:
        """The report of a day (`usage-2026-11-20`) or a week (`usage-2026-W47`). One that is not kept is made, which may take a
        minute where much was asked."""
        return (await self._calls.content(at(REPORTS, name), timeout_s=REPORT_TIMEOUT_S, format=form)).decode()


class Admin:
    """Administration, group by group."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.users = Users(calls)
        self.invites = Invites(calls)
        self.usage = AllUsage(calls)
        self.audit = Audit(calls)
        self.models = PlacedModels(calls)
        self.reports = Reports(calls)

    async def tiers(self) -> tuple[Tier, ...]:
        """Every tier and what it limits."""
        return (await self._calls.get("/api/admin/tiers", Page[Tier])).data

    async def system(self) -> SystemHealth:
        """Every worker of the swarm, its figures, and what is not well. It takes a metrics worker, as all that follows does."""
        return await self._calls.get(SYSTEM, SystemHealth)

    def watch_system(self) -> AsyncGenerator[SystemHealth]:
        """The same now, and again after every collection, for an hour at most. Leaving the loop hangs up."""
        return self._calls.events(f"{SYSTEM}/events", SystemHealth)

    async def history(self, figures: Sequence[str] = (), **query: Unpack[HistoryQuery]) -> History:
        """Figures over time: those named, which are fields of `Figures`, or all."""
        names = ",".join(figures) or None
        return await self._calls.get("/api/admin/metrics/history", History, figures=names, **query)

    async def alerts(self, *, past: bool = False) -> tuple[Alert, ...]:
        """Alerts that are open, with `past` those too that were resolved lately; newest first."""
        return (await self._calls.get(ALERTS, Page[Alert], past="true" if past else None)).data

    async def silence(self, alert_id: str, *, minutes: int = 60) -> Alert:
        """Tell nobody of an alert for so long; 0 ends that."""
        return await self._calls.send("POST", f"{at(ALERTS, alert_id)}/silence", Alert, minutes=minutes)

    async def test_alerts(self) -> tuple[AlertTried, ...]:
        """Tell every receiver of an alert that means nothing and of its end; gives what came of each, none where nobody is told."""
        return (await self._calls.send_long(f"{ALERTS}/test", Page[AlertTried], timeout_s=TEST_TIMEOUT_S)).data

    def logs(self, *, follow: bool = False, **query: Unpack[LogQuery]) -> AsyncGenerator[dict[str, Any]]:
        """Log lines of every worker, oldest first, each with its `timestamp`, `level`, `event`, `worker` and more; with `follow`
        those that come too, for an hour at most. If workers could not be asked, a last one has nothing but `missing`: their
        names, and why."""
        path = "/api/admin/logs"
        return self._calls.lines(path, timeout_s=LOGS_TIMEOUT_S, follow="true" if follow else None, **query)
