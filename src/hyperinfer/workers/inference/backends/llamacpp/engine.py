"""Keeps an engine running: has its model found, starts it, notices its end, and starts it again with growing pauses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from hyperinfer.errors import HyperinferError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.backends import State
from hyperinfer.workers.inference.backends.llamacpp.child import EngineOrder
from hyperinfer.workers.inference.backends.llamacpp.client import EngineClient
from hyperinfer.workers.inference.backends.llamacpp.process import EngineProcess, engine_process
from hyperinfer.workers.inference.backends.llamacpp.wire.said import EngineProps

PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before the first restart, the second, and so on; the last one holds from then on."""
STEADY_S = 60.0
"""An engine that has served for so long has its earlier failures forgiven."""
AWAY_AFTER = 3
"""From so many failures in a row on it counts as away, not as being loaded."""
READY_WAIT_S = 3.0
"""How long a request waits for an engine that is being restarted."""
NOTICE_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineState:
    """How it stands: `reason` says why it is not ready, `props` what it said of itself when it last was, `fills_in`
    whether its model has tokens for filling in."""

    state: State
    reason: str = ""
    props: EngineProps | None = None
    fills_in: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `order` gives what the engine is told, and may take its time to fetch the model; `folder` is for its
    socket."""

    order: Callable[[], Awaitable[EngineOrder]]
    folder: Path
    load_timeout_s: float
    stall_timeout_s: float


class Engine:
    """One engine across its restarts. `changed` is called when its state is another, `restarted` for each restart."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        *,
        clock: Clock,
        changed: Callable[[], None],
        restarted: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._changed = changed
        self._restarted = restarted
        self._name = name
        self._loading = f"The model {name} is being loaded."
        self._tried = asyncio.Event()
        self._serving = asyncio.Event()
        self._gone = asyncio.Event()
        self._process: EngineProcess | None = None
        self._client: EngineClient | None = None
        self.state = EngineState("loading", self._loading)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    async def tried(self) -> None:
        """Wait until it is ready, or has failed to be for the first time; the plan's `load_timeout_s` bounds that."""
        await self._tried.wait()

    async def client(self) -> EngineClient:
        """Who to talk to; waits a little for an engine that is being loaded. Raises `Unavailable`."""
        if self._client is None:
            try:
                async with asyncio.timeout(READY_WAIT_S):
                    await self._serving.wait()
            except TimeoutError:
                raise Unavailable(self._loading, retry_after_s=1) from None
        if self._client is None:
            raise Unavailable(self._loading, retry_after_s=1)
        return self._client

    async def lost(self, client: EngineClient) -> None:
        """This client's connection broke: give the engine a moment to be seen dead, so that nobody is sent to it."""
        if client is self._client:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICE_S):
                    await self._gone.wait()

    async def stalled(self, client: EngineClient) -> None:
        """This client's engine does not answer any more: end it, so that it is started again."""
        if client is self._client and self._process is not None:
            log.warning("engine_stalled", model=self._name, pid=self._process.pid)
            self._process.kill()
            await self.lost(client)

    async def run(self) -> None:
        """Keep it running, until cancelled."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                reason = await self._run_once()
            except HyperinferError as error:
                reason = error.message
            failures = 1 if self._clock.monotonic() - began > STEADY_S else failures + 1
            pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1]
            log.warning("engine_ended", model=self._name, reason=reason, restart_in_s=pause_s)
            state: State = "away" if failures >= AWAY_AFTER else "loading"
            self._set(replace(self.state, state=state, reason=reason))
            self._tried.set()
            await self._clock.sleep(pause_s)
            self._restarted()

    async def _run_once(self) -> str:
        """Run one engine to its end; returns how that came about. Raises `BackendFailed`, `StartError`."""
        plan = self._plan
        order = await plan.order()
        began = self._clock.monotonic()
        log.info("engine_loading", model=self._name, file=Path(order.model_path).name, threads=order.threads)
        async with engine_process(order, plan.folder) as process:
            await process.serving(plan.load_timeout_s)
            async with EngineClient(process.socket, process.key, stall_timeout_s=plan.stall_timeout_s) as client:
                props = await client.props()
                fills_in = not order.embeds and await client.fills_in()
                took_s = round(self._clock.monotonic() - began, 2)
                log.info(
                    "engine_ready",
                    model=self._name,
                    pid=process.pid,
                    took_s=took_s,
                    context_tokens=props.context_tokens,
                )
                async with self._current(process, client, EngineState("ready", props=props, fills_in=fills_in)):
                    await process.exited()
            return await process.ended()

    @asynccontextmanager
    async def _current(self, process: EngineProcess, client: EngineClient, state: EngineState) -> AsyncIterator[None]:
        """Let requests go to this engine for the length of the block."""
        self._process, self._client = process, client
        self._serving.set()
        self._gone.clear()
        self._set(state)
        self._tried.set()
        try:
            yield
        finally:
            self._process = self._client = None
            self._serving.clear()
            self._gone.set()
            self._set(replace(state, state="loading", reason=self._loading))

    def _set(self, state: EngineState) -> None:
        self.state = state
        self._changed()
