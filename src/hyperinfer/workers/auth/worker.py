"""The auth worker: its parts and how they are put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.auth.audit.keeper import kept_audit
from hyperinfer.workers.auth.audit.log import AuditLog
from hyperinfer.workers.auth.audit.methods import audit_routes, noting_routes
from hyperinfer.workers.auth.census import Census
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.housekeeping import keep_house
from hyperinfer.workers.auth.membership import membership_on
from hyperinfer.workers.auth.meters import Meters, Shown
from hyperinfer.workers.auth.methods import routes
from hyperinfer.workers.auth.parts import parts_on
from hyperinfer.workers.auth.publishing import publish_missing
from hyperinfer.workers.auth.store import first_admin
from hyperinfer.workers.auth.usage.methods import usage_routes


@asynccontextmanager
async def open_auth(context: Context[AuthSettings], own: Caller) -> AsyncIterator[Service]:
    """Run auth on its data folder."""
    data, clock = context.paths.data, context.clock
    async with parts_on(data, context.settings, clock) as parts, kept_audit(parts.database, data, clock) as audit:
        await publish_missing(parts.database, parts.tiers, parts.aliases)
        async with parts.database.read() as rows:
            if await first_admin(rows) is None:
                context.log.warning("no_admin", do="run `hyperinfer users create-admin` on this machine")
        parts.registration.on_registered(Meters(context.registry).registered)
        census = Census(parts.database, clock)
        Shown(census, parts.signing, parts.passwords, clock=clock, registry=context.registry)
        async with (
            background(keep_house(parts, clock), name="housekeeping"),
            background(census.run(), name="census"),
            background(parts.usage.purge.run(), name="purge of requests"),
            membership_on(context, extra=audit.extra, note=audit.note) as membership,
        ):

            def end_watches() -> None:
                membership.end_watches()
                parts.feed.end()

            yield Service(
                routes=(
                    *routes(parts),
                    *usage_routes(parts.usage, parts.actors),
                    *audit_routes(AuditLog(parts.database), parts.actors.admin),
                    *noting_routes(parts.database, parts.actors),
                    *membership.routes(),
                ),
                announces=("auth",),
                invited=membership.invited,
                on_drain=end_watches,
            )


WORKER = WorkerType(name="auth", settings=AuthSettings, observe_port=9101, open=open_auth)
