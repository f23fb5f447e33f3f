"""The gateway's journal of usage: what each request has used is written down here, and delivered to auth."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.workers.gateway.journal.config import JournalSettings
from hyperinfer.workers.gateway.journal.delivery import Delivery
from hyperinfer.workers.gateway.journal.entry import Course, Entry, Reserved
from hyperinfer.workers.gateway.journal.journal import FOLDER, Journal
from hyperinfer.workers.gateway.journal.lines import TokenWindow
from hyperinfer.workers.gateway.journal.prompts import PromptHash
from hyperinfer.workers.gateway.journal.refused import RefusedFile

__all__ = ["Course", "Entry", "Journal", "JournalSettings", "PromptHash", "Reserved", "TokenWindow", "journaling"]


@asynccontextmanager
async def journaling(data: Path, auth: Caller, *, clock: Clock, settings: JournalSettings) -> AsyncIterator[Journal]:
    """The journal of a data folder for the length of the block; what is settled in it is delivered to auth.

    Raises `StartError` if it cannot be used.
    """
    folder = data / FOLDER
    journal = Journal(folder, clock=clock, settings=settings)
    delivery = Delivery(journal.backlog, auth, RefusedFile(folder), clock=clock)
    await journal.open()
    try:
        async with (
            background(journal.run(), name="journal"),
            background(delivery.run(), name="journal: delivery"),
        ):
            yield journal
        await delivery.finish()
    finally:
        await journal.close()
