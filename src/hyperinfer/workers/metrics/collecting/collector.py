"""Asks every worker again and again, all of them at once, so that a slow one holds up nobody."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from hyperinfer.contracts.common import HEALTH, LINKS, METRICS, Health, PeerLink, PeerLinks
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import DeadlineExceeded, HyperinferError, TooLarge, UnknownMethod
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.members import Members
from hyperinfer.workers.metrics.collecting.exposition import read
from hyperinfer.workers.metrics.collecting.members import asked
from hyperinfer.workers.metrics.collecting.memory import Memory
from hyperinfer.workers.metrics.collecting.meters import Meters
from hyperinfer.workers.metrics.collecting.swarm import Swarm
from hyperinfer.workers.metrics.collecting.worker import Worker
from hyperinfer.workers.metrics.config import CollectSettings

R = TypeVar("R", Health, PeerLinks)

log = structlog.get_logger(__name__)

WELL_AT_ONCE = 32
AWAY_AT_ONCE = 8
"""Workers that did not answer the last time wait in a line of their own, for they may take as long as they are allowed to."""

MAX_HEALTH_BYTES = 16 * 1024
MAX_LINKS_BYTES = 1024 * 1024
"""Whoever says more than that of itself is taken for one who makes no sense."""
MAX_SENTENCE_CHARS = 500

Took = Callable[[Swarm], None]


class Collector:
    """Collects from the members of the swarm. `run` goes on until cancelled, from when it is told to `begin`."""

    def __init__(
        self,
        settings: CollectSettings,
        *,
        members: Members,
        peer: Callable[[bytes], Caller],
        own_key: bytes,
        own: Caller,
        clock: Clock,
        meters: Meters,
    ) -> None:
        self.swarm = Swarm(now=clock.now(), remember_s=settings.remember_s)
        self._settings = settings
        self._members = members
        self._peer = peer
        self._own_key = own_key
        self._own = own
        self._clock = clock
        self._meters = meters
        self._listeners: list[Took] = []
        self._began = asyncio.Event()
        self._rounds = 0
        self._held = 0
        self._asks_itself = False

    @property
    def has_collected(self) -> bool:
        """Whether everybody has been asked once. To itself it says so in the first round already: who asks for a worker's health
        would have it not well for a whole interval, because it had not asked."""
        return self._rounds > 0 or self._asks_itself

    def begin(self) -> None:
        """Ask from now on: this worker answers too."""
        self._began.set()

    def on_round(self, listener: Took) -> None:
        """Be told of the end of each round; what takes time is to be done elsewhere."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Collect, again and again."""
        await self._began.wait()
        while True:
            due = self._clock.monotonic() + self._settings.interval_s
            await self.round()
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    async def round(self) -> None:
        """Ask everybody once."""
        began = self._clock.monotonic()
        swarm = self.swarm
        swarm.admits(asked(self._members))
        self._held = swarm.series
        at_once = {True: asyncio.Semaphore(WELL_AT_ONCE), False: asyncio.Semaphore(AWAY_AT_ONCE)}
        async with asyncio.TaskGroup() as group:
            for key, worker in swarm.known.items():
                well = not worker.trouble
                group.create_task(self._ask(bytes.fromhex(key), worker, at_once[well]), name=f"collect {key[:8]}")
        swarm.collected(self._clock.now())
        self._rounds += 1
        self._count(swarm.known.values(), self._clock.monotonic() - began)
        for listener in self._listeners:
            listener(swarm)

    async def live(self, worker: str) -> str:
        """What a worker shows now, by its hex key. Raises what asking it raises."""
        shown = await self._caller(bytes.fromhex(worker)).call(METRICS, Nothing(), timeout_s=self._settings.timeout_s)
        if len(shown.text) > self._settings.max_text_bytes:
            raise self._too_long()
        return shown.text

    async def _ask(self, key: bytes, worker: Worker, turn: asyncio.Semaphore) -> None:
        """Ask one worker, within the time that there is for the whole round."""
        timeout_s = min(self._settings.timeout_s, self._settings.interval_s)
        try:
            async with asyncio.timeout(timeout_s):
                async with turn:
                    caller = self._caller(key)
                    health, text, links = await self._asked(caller, worker, timeout_s)
        except TimeoutError:
            self._failed(worker, DeadlineExceeded(f"It did not answer within {timeout_s:g} s."))
        except HyperinferError as error:
            self._failed(worker, error)
        else:
            self._take(worker, health, text, links)

    async def _asked(
        self, caller: Caller, worker: Worker, timeout_s: float
    ) -> tuple[Health, str, tuple[PeerLink, ...]]:
        health = _of_size(await self._health(caller, timeout_s), MAX_HEALTH_BYTES)
        shown = await caller.call(METRICS, Nothing(), timeout_s=timeout_s)
        links: tuple[PeerLink, ...] = ()
        if worker.tells_links or health.process != (worker.health.process if worker.health else ""):
            try:
                links = _of_size(await caller.call(LINKS, Nothing(), timeout_s=timeout_s), MAX_LINKS_BYTES).links
                worker.tells_links = True
            except UnknownMethod:
                worker.tells_links = False
        return health, shown.text, links

    async def _health(self, caller: Caller, timeout_s: float) -> Health:
        if caller is not self._own:
            return await caller.call(HEALTH, Nothing(), timeout_s=timeout_s)
        self._asks_itself = True
        try:
            return await caller.call(HEALTH, Nothing(), timeout_s=timeout_s)
        finally:
            self._asks_itself = False

    def _caller(self, key: bytes) -> Caller:
        return self._own if key == self._own_key else self._peer(key)

    def _failed(self, worker: Worker, error: HyperinferError) -> None:
        self._meters.failed(error.code)
        if worker.is_here:
            log.warning("worker_lost", name=worker.asked.name, wtype=worker.wtype, reason=error.message)
        worker.trouble = error.message[:MAX_SENTENCE_CHARS]

    def _take(self, worker: Worker, health: Health, text: str, links: tuple[PeerLink, ...]) -> None:
        if not worker.is_here:
            log.info("worker_found", name=worker.asked.name, wtype=health.service)
        has_restarted = worker.answered(replace(health, reasons=health.reasons[:16]), links, self._clock.now())
        settings, memory, before = self._settings, worker.memory, worker.refused
        worker.refused = ""
        try:
            if len(text) > settings.max_text_bytes:
                raise self._too_long()
            shown = read(text, memory.by_key, max_samples=settings.max_samples)
            if self._held + len(shown.new) > settings.max_samples_in_all:
                raise TooLarge("There is no room for its metrics: those of the others fill it.", why="no_room")
        except TooLarge as error:
            self._refused(worker, error, told=bool(before))
        else:
            self._held += len(shown.new)
            memory.take(shown, self._clock.monotonic(), has_restarted=has_restarted)
            if shown.malformed:
                self._meters.refused["malformed"].inc(shown.malformed)

    def _refused(self, worker: Worker, error: TooLarge, *, told: bool) -> None:
        self._meters.refused[error.details.get("why", "too_many_samples")].inc()
        worker.refused = f"{error.message} They are not collected."
        worker.memory = Memory(remember_s=self._settings.remember_s)
        if not told:
            log.warning("metrics_refused", name=worker.asked.name, reason=error.message)

    def _too_long(self) -> TooLarge:
        limit_bytes = self._settings.max_text_bytes
        return TooLarge(f"Its metrics are longer than {limit_bytes} bytes.", limit_bytes=limit_bytes, why="too_long")

    def _count(self, workers: Iterable[Worker], took_s: float) -> None:
        self._meters.rounds.inc()
        self._meters.round_s.observe(took_s)
        self._meters.series.set(self.swarm.series)
        self._meters.show_states([worker.state for worker in workers])


def _of_size(reply: R, most_bytes: int) -> R:
    """A reply, if it is no longer than that: what a worker says of itself is told on to everybody who watches."""
    if len(msgspec.json.encode(reply)) > most_bytes:
        raise TooLarge(f"What it says of itself is longer than {most_bytes} bytes.", limit_bytes=most_bytes)
    return reply
