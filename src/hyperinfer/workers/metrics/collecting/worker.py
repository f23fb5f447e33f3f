"""One worker as the metrics worker has seen it."""

from dataclasses import dataclass, field
from datetime import datetime

from hyperinfer.contracts.common import Health, PeerLink
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.collecting.memory import Memory

MAX_LINKS = 256
"""So many of its links are told at most, and of the others how many they are."""


@dataclass(slots=True)
class Worker:
    """What is known of a worker. `trouble` says why it did not answer the last time it was asked, `refused` why its metrics were
    not taken in."""

    asked: Asked
    memory: Memory
    health: Health | None = None
    links: tuple[PeerLink, ...] = ()
    links_left_out: int = 0
    seen_at: datetime | None = None
    trouble: str = ""
    refused: str = ""
    tells_links: bool = field(default=True)

    @property
    def is_here(self) -> bool:
        """Whether it answered the last time."""
        return self.health is not None and not self.trouble

    @property
    def state(self) -> str:
        """How it is, in a word of `WorkerHealth`."""
        if self.health is None:
            return "never_seen"
        if self.trouble:
            return "lost"
        said = self.health.status
        return said if said == "draining" or (said == "ready" and not self.refused) else "degraded"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not well, in sentences."""
        if self.trouble:
            return (self.trouble,)
        said = self.health.reasons if self.health else ()
        return (*said, self.refused) if self.refused else said

    @property
    def wtype(self) -> str:
        """What it says that it is, if it may be that."""
        said = self.health.service if self.health else ""
        return said if said in self.asked.roles else self.asked.wtype

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all that it shows."""
        return {"worker": self.asked.name, "wtype": self.wtype}

    def answered(self, health: Health, links: tuple[PeerLink, ...], now: datetime) -> bool:
        """It has answered; says whether it had begun anew since it was asked before."""
        before, self.health = self.health, health
        self.links, self.links_left_out = links[:MAX_LINKS], max(0, len(links) - MAX_LINKS)
        self.seen_at, self.trouble = now, ""
        return before is not None and (before.process != health.process or health.uptime_s < before.uptime_s)
