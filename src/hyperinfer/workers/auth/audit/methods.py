"""Auth's methods on its audit log: gateways pass on what administrators ask."""

from collections.abc import Awaitable, Callable, Sequence

from hyperinfer.contracts.acting import Actor, As, at_auth
from hyperinfer.contracts.audit import LIST_AUDIT, AuditQuery, AuditRows
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.audit.log import AuditLog

Admit = Callable[[Actor], Awaitable[object]]
"""Lets an administrator pass as auth itself knows them now. Raises `Forbidden`, `Unauthenticated`, `Unavailable`."""


def audit_routes(log: AuditLog, admit: Admit) -> Sequence[Route]:
    """`listAudit`, for administrators."""

    async def list_audit(request: As[AuditQuery], _call: Call) -> AuditRows:
        await admit(request.actor)
        return await log.page(request.wanted)

    return (route(at_auth(LIST_AUDIT), list_audit),)
