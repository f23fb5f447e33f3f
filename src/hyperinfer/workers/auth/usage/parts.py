"""The ledger's parts put together on a database."""

from dataclasses import dataclass
from typing import Self

from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.ledger import Ledger
from hyperinfer.workers.auth.usage.purge import Purge
from hyperinfer.workers.auth.usage.reports import Reports
from hyperinfer.workers.auth.usage.requests import RequestPages
from hyperinfer.workers.auth.usage.summaries import Summaries


@dataclass(frozen=True, slots=True)
class UsageParts:
    """What takes usage in, what reports it to people and to the metrics worker, and what removes single requests in time
    (`purge.run`)."""

    ledger: Ledger
    reports: Reports
    requests: RequestPages
    summaries: Summaries
    purge: Purge

    @classmethod
    def on(cls, database: AuthDatabase, *, replica: Readable | None, clock: Clock, settings: UsageSettings) -> Self:
        """The parts on a database; with a replica of it reports are read from there, some moments behind."""
        readable = replica or database
        return cls(
            ledger=Ledger(database, clock=clock, settings=settings),
            reports=Reports(readable, clock=clock, settings=settings),
            requests=RequestPages(readable, settings=settings),
            summaries=Summaries(readable, clock=clock, settings=settings),
            purge=Purge(database, clock=clock, settings=settings),
        )
