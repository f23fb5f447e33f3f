"""The inference workers that this gateway knows: found by topic, trusted by role, and watched for what they report."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec
import structlog

from hyperinfer.contracts.inference import WATCH_STATUS, WorkerStatus
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import HyperinferError, RemoteError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.members import Members
from hyperinfer.protocol.typed_json import UNREADABLE
from hyperinfer.workers.gateway.offers import Offer, Worker

ROLE = "inference"
LOOK_EVERY_S = 3.0
LOOK_EVERY_ALONE_S = 0.5
"""While no worker is live, so that a gateway that starts first is ready soon after."""
TICK_S = 0.75
"""Workers report every second; what is missed is counted in ticks, so that a stall of our own is not blamed on them."""
SILENT_TICKS = 4
FIRST_REPORT_TICKS = 20
"""Ticks without a report after which a worker counts as lost, and ticks for connecting and the first report."""
WATCH_S = 3000.0
"""How long one watch lasts before it is made anew; a call may last an hour at most."""
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
FORGET_S = 600.0
"""How long a lost worker that is announced no more is remembered."""
MAX_WORKERS = 512
"""Workers watched at most."""

_status = msgspec.json.Decoder(WorkerStatus)


class Fleet:
    """Every inference worker that this gateway knows, as they are now. `run` keeps it so."""

    def __init__(
        self,
        *,
        look: Callable[[], Awaitable[Sequence[bytes]]],
        peer: Callable[[bytes], Caller],
        members: Members,
        clock: Clock,
    ) -> None:
        self._look = look
        self._peer = peer
        self._members = members
        self._clock = clock
        self._log = structlog.get_logger(__name__)
        self._workers: dict[bytes, Worker] = {}
        self._watches: dict[bytes, asyncio.Task[None]] = {}
        self._offers: dict[str, list[Offer]] = {}
        self._changed = asyncio.Event()
        self._members_changed = asyncio.Event()
        members.on_change(self._members_changed.set)

    @property
    def workers(self) -> Sequence[Worker]:
        """Every worker, lost ones included."""
        return tuple(self._workers.values())

    @property
    def offers(self) -> dict[str, list[Offer]]:
        """What every worker has, by model, lost ones included."""
        return self._offers

    @property
    def any_live(self) -> bool:
        """Whether some worker reports."""
        return any(worker.live for worker in self._workers.values())

    async def changed(self) -> None:
        """Wait until a worker comes, goes or has other models."""
        await self._changed.wait()

    async def run(self) -> None:
        """Find workers and watch them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._discover(group)
                self._members_changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S if self.any_live else LOOK_EVERY_ALONE_S):
                        await self._members_changed.wait()

    def lost(self, worker: Worker) -> None:
        """A worker does not answer: give it nothing more until it reports again."""
        if worker.live:
            worker.live = False
            worker.lost_at = self._clock.monotonic()
            self._log.warning("inference_worker_lost", name=worker.name, key=worker.hex)
            self._announce_change()

    async def _discover(self, group: asyncio.TaskGroup) -> None:
        try:
            found = await self._look()
        except HyperinferError as error:
            self._log.debug("inference_lookup_failed", reason=error.message)
            found = ()
        now = self._clock.monotonic()
        for key in found:
            if key not in self._workers and self._trusts(key) and len(self._workers) < MAX_WORKERS:
                worker = Worker(key, name=self._members.name(key), caller=self._peer(key), now=now)
                self._workers[key] = worker
                self._watches[key] = group.create_task(self._watch(worker), name=f"watch {worker.name}")
        for key, worker in tuple(self._workers.items()):
            gone = not worker.live and key not in found and now - worker.lost_at > FORGET_S
            if gone or not self._trusts(key):
                self._forget(worker)

    def _trusts(self, key: bytes) -> bool:
        return ROLE in self._members.roles(key)

    def _forget(self, worker: Worker) -> None:
        self.lost(worker)
        self._watches.pop(worker.key).cancel()
        del self._workers[worker.key]
        self._index()

    async def _watch(self, worker: Worker) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began_at = self._clock.monotonic()
            try:
                await self._watch_once(worker)
            except HyperinferError as error:
                self._log.debug("inference_watch_ended", name=worker.name, reason=error.message)
            except TimeoutError:
                self._log.debug("inference_watch_ended", name=worker.name, reason="silence")
                self._silent(worker)
            self.lost(worker)
            lasted = self._clock.monotonic() - began_at > LONGEST_PAUSE_S
            pause_s = FIRST_PAUSE_S if lasted else min(pause_s * 2, LONGEST_PAUSE_S)
            await self._clock.sleep(pause_s)

    async def _watch_once(self, worker: Worker) -> None:
        """Take reports until the worker is lost. Raises the errors of the net, or `TimeoutError` for silence."""

        async def take(reports: Sequence[bytes]) -> None:
            self._report(worker, _read(reports[-1]))

        async with background(self._listen(worker), name=f"silence of {worker.name}"):
            await worker.caller.call(WATCH_STATUS, Nothing(), timeout_s=WATCH_S, sink=take)

    async def _listen(self, worker: Worker) -> None:
        """Raise `TimeoutError` once a worker has been silent for too many ticks."""
        allowed, missed = FIRST_REPORT_TICKS, 0
        while missed < allowed:
            before = worker.reports
            await self._clock.sleep(TICK_S)
            missed += 1
            if worker.reports != before:
                allowed, missed = SILENT_TICKS, 0
        raise TimeoutError

    def _silent(self, worker: Worker) -> None:
        """A worker is silent, its link not yet known to be dead: its requests go to others, if there are any."""
        self.lost(worker)
        if self.any_live:
            for attempt in tuple(worker.attempts):
                attempt.fallen_silent()

    def _report(self, worker: Worker, status: WorkerStatus) -> None:
        before = (worker.state, {name: offer.status.state for name, offer in worker.offers.items()})
        worker.report(status, self._clock.monotonic())
        after = (worker.state, {name: offer.status.state for name, offer in worker.offers.items()})
        if before == after:
            return
        if before[0] != after[0]:
            self._log.info("inference_worker", name=worker.name, state=worker.state, models=sorted(worker.offers))
        self._index()
        self._announce_change()

    def _index(self) -> None:
        self._offers = {}
        for worker in self._workers.values():
            for name, offer in worker.offers.items():
                self._offers.setdefault(name, []).append(offer)

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _read(report: bytes) -> WorkerStatus:
    try:
        return _status.decode(report)
    except UNREADABLE as error:
        raise RemoteError(f"The worker's report makes no sense: {error}") from error
