"""The auth worker: its parts and how they are put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.membership import membership_on
from hyperinfer.workers.auth.meters import Meters
from hyperinfer.workers.auth.methods import routes
from hyperinfer.workers.auth.parts import parts_on

NOTE_EVERY_S = 60.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_auth(context: Context[AuthSettings], own: Caller) -> AsyncIterator[Service]:
    """Run auth on its data folder."""
    async with parts_on(context.paths.data, context.settings, context.clock) as parts:
        if await parts.store.first_admin() is None:
            context.log.warning("no_admin", do="run `hyperinfer users create-admin` on this machine")
        meters = Meters(context.registry)
        meters.show_waiting(lambda: parts.passwords.waiting)
        try:
            async with (
                background(_note_use(parts.keys, context.clock), name="last use of keys"),
                membership_on(context) as membership,
            ):
                yield Service(
                    routes=(*routes(parts.service, parts.keys, meters), *membership.routes()),
                    announces=("auth",),
                    invited=membership.invited,
                    on_drain=membership.end_watches,
                )
        finally:
            await _note(parts.keys)


async def _note_use(keys: Keys, clock: Clock) -> None:
    while True:
        await clock.sleep(NOTE_EVERY_S)
        await _note(keys)


async def _note(keys: Keys) -> None:
    try:
        await keys.note_use()
    except Unavailable as error:
        log.warning("last_use_not_noted", reason=error.message)


WORKER = WorkerType(name="auth", settings=AuthSettings, observe_port=9101, open=open_auth)
