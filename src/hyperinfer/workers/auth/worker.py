"""The auth worker: its parts and how they are put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.auth.admin import service_on
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.meters import Meters
from hyperinfer.workers.auth.methods import AuthMethods
from hyperinfer.workers.auth.service import AuthService

NOTE_EVERY_S = 60.0


@asynccontextmanager
async def open_auth(context: Context[AuthSettings], own: Caller) -> AsyncIterator[Service]:
    """Run auth on its data folder."""
    async with service_on(context.paths.data, context.settings, context.clock) as (service, store):
        if await store.first_admin() is None:
            context.log.warning("no_admin", do="run `hyperinfer users create-admin` on this machine")
        async with background(_note_use(service, context.clock), name="last use of keys"):
            yield Service(routes=AuthMethods(service, Meters(context.registry)).routes(), announces=("auth",))
        await service.note_use()


async def _note_use(service: AuthService, clock: Clock) -> None:
    while True:
        await clock.sleep(NOTE_EVERY_S)
        await service.note_use()


WORKER = WorkerType(name="auth", settings=AuthSettings, observe_port=9101, open=open_auth)
