"""One worker as the metrics worker has seen it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from msgspec.structs import replace

from hyperinfer.contracts.common import Health, PeerLink
from hyperinfer.protocol.link_words import NOT_TRIED
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.collecting.memory import Memory

MAX_LINKS = 256
"""So many of its links are told at most, and of the others how many they are; fewer where there are many workers, for each has links
to all the others, and all of them are told in one message."""
MAX_LINKS_IN_ALL = 8000
MIN_LINKS = 8
WELL = frozenset({"here", "direct", "punched", "relayed"})


@dataclass(slots=True)
class Worker:
    """What is known of a worker. `trouble` says why it did not answer the last time it was asked, `refused` why its metrics were
    not taken in."""

    asked: Asked
    memory: Memory
    health: Health | None = None
    links: tuple[PeerLink, ...] = ()
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

    def told_links(self, workers: int) -> tuple[PeerLink, ...]:
        """The links that are told of it among so many workers; where they are too many, those first that are not well."""
        most = min(MAX_LINKS, max(MIN_LINKS, MAX_LINKS_IN_ALL // max(1, workers)))
        links: Sequence[PeerLink] = self.links
        if len(links) > most:
            links = sorted(links, key=lambda link: link.how in WELL or link.reason == NOT_TRIED)[:most]
        return tuple(map(_readable, links))

    def answered(self, health: Health, links: tuple[PeerLink, ...], now: datetime) -> bool:
        """It has answered; says whether it had begun anew since it was asked before."""
        before, self.health = self.health, health
        self.links = links
        self.seen_at, self.trouble = now, ""
        return before is not None and (before.process != health.process or health.uptime_s < before.uptime_s)


def _readable(link: PeerLink) -> PeerLink:
    """A link that every client can read, whatever its worker takes for a time."""
    try:
        msgspec.convert(link.since, datetime | None)
    except msgspec.ValidationError:
        return replace(link, since=None)
    return link
