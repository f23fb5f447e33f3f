"""Usage reports as a part of the metrics worker: put together, made and sent for as long as it runs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from hyperinfer.facilities.mail import Mailer
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Route
from hyperinfer.kernel.worker import Context
from hyperinfer.workers.metrics.collecting.members import asked
from hyperinfer.workers.metrics.config import MetricsSettings
from hyperinfer.workers.metrics.reports.kept import Shelf
from hyperinfer.workers.metrics.reports.making import Maker, Presence
from hyperinfer.workers.metrics.reports.methods import report_routes
from hyperinfer.workers.metrics.reports.schedule import Schedule

FOLDER = "reports"


@asynccontextmanager
async def reporting(context: Context[MetricsSettings], *, presence: Presence) -> AsyncIterator[Sequence[Route]]:
    """Make reports for the length of the block; gives the methods by which they are read. Raises `ConfigError` for a mail server that
    cannot be meant."""
    clock, settings, mail = context.clock, context.settings.reports, context.settings.mail

    def names() -> Mapping[str, str]:
        return {key.hex(): one.name for key, one in asked(context.members).items()}

    shelf = Shelf(context.paths.data / FOLDER)
    maker = Maker(context.service("auth"), clock=clock, names=names, presence=presence)
    post = Mailer(mail, clock=clock) if mail.host else None
    schedule = Schedule(shelf, maker, settings=settings, post=post, clock=clock)
    async with background(schedule.run(), name="reports"):
        yield report_routes(shelf, maker)
