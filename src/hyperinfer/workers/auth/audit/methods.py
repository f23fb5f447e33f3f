"""Auth's methods on its audit log: gateways pass on what administrators ask, and tell what they do for them."""

from collections.abc import Awaitable, Callable, Sequence

from hyperinfer.contracts.acting import Actor, As, at_auth
from hyperinfer.contracts.audit import LIST_AUDIT, NOTE_OPERATION, AuditQuery, AuditRows, Operation
from hyperinfer.contracts.method import ADMIN, Nothing
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.audit.log import AuditLog
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.origin import origin_of

Admit = Callable[[Actor], Awaitable[object]]
"""Lets an administrator pass as auth itself knows them now. Raises `Forbidden`, `Unauthenticated`, `Unavailable`."""


def audit_routes(log: AuditLog, admit: Admit) -> Sequence[Route]:
    """`listAudit`, for administrators."""

    async def list_audit(request: As[AuditQuery], _call: Call) -> AuditRows:
        await admit(request.actor)
        return await log.page(request.wanted)

    return (route(at_auth(LIST_AUDIT), list_audit),)


def noting_routes(database: AuthDatabase, actors: Actors) -> Sequence[Route]:
    """`noteOperation`, for gateways on behalf of administrators."""

    async def note(request: As[Operation], call: Call) -> Nothing:
        async with database.change(origin_of(call, request.actor)) as change:
            await actors.admit(change.session, request.actor, ADMIN)
            await change.audit(request.wanted.action, details=request.wanted.details)
        return Nothing()

    return (route(NOTE_OPERATION, note),)
