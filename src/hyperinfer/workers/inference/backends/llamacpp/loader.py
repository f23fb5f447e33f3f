"""Which models are loaded: on demand, one at a time, as many as memory has room for, and none longer than it is used."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

import psutil
import structlog

from hyperinfer.errors import BackendFailed, HyperinferError, ModelNotFound, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.backends.llamacpp import machine, room
from hyperinfer.workers.inference.backends.llamacpp.child import EngineOrder
from hyperinfer.workers.inference.backends.llamacpp.engine import Engine, Plan
from hyperinfer.workers.inference.backends.llamacpp.hosted import Hosted
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.llamacpp.shelf import Entry, Shelf

SWEEP_EVERY_S = 1.0
UNLOAD_WAIT_S = 600.0
"""How long an order to unload waits for requests under way."""
FULL_RETRY_S = 5.0
NOTABLE_BYTES = 1024 * 1024
"""A change of a model's memory that is worth telling."""

log = structlog.get_logger(__name__)


class Loader:
    """Loads and unloads the models of a shelf. `changed` is called when one comes, goes or changes its state; `restarted`
    for each engine that is started again. `memory` gives the bytes that could be taken now."""

    def __init__(
        self,
        shelf: Shelf,
        settings: LlamaCppSettings,
        *,
        group: asyncio.TaskGroup,
        sockets: Path,
        clock: Clock,
        changed: Callable[[], None],
        restarted: Callable[[], None],
        memory: Callable[[], int] = lambda: int(psutil.virtual_memory().available),
    ) -> None:
        self._shelf = shelf
        self._settings = settings
        self._group = group
        self._sockets = sockets
        self._clock = clock
        self._changed = changed
        self._restarted = restarted
        self._memory = memory
        self._models: dict[str, Hosted] = {}
        self._gone: list[Hosted] = []
        """Models whose files have gone away while somebody used them."""
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._looked_at_s = clock.monotonic()
        self._has_ended = False

    @property
    def models(self) -> Sequence[Hosted]:
        """Every model that is there."""
        return tuple(self._models.values())

    def begin(self) -> None:
        """Follow what is there and what is used from now on, until `end`."""
        self._start(self._follow(), name="models of the engine")

    def end(self) -> None:
        """End every engine and all other work; the task group waits for it."""
        self._has_ended = True
        for task in self._tasks:
            task.cancel()

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_EVERY_S)
            if self._clock.monotonic() - self._looked_at_s >= self._settings.look_every_s:
                await self.look()
            self.sweep()

    async def look(self) -> None:
        """Take over what is there now."""
        entries = await self._shelf.look()
        self._looked_at_s = self._clock.monotonic()
        before, self._models = self._models, {}
        news = [model.entry for model in before.values()] != list(entries)
        for entry in entries:
            model = before.pop(entry.name, None)
            if model is None:
                model = Hosted(entry, self._settings, stays=entry.name == self._shelf.first)
            elif model.entry.found is None and entry.found is not None:
                model.entry = entry  # it has been fetched, by its own engine
            elif model.entry != entry:
                model.take(entry)
            self._models[entry.name] = model
        self._gone += before.values()
        if news:
            self._changed()

    def sweep(self) -> None:
        """Load what has to be loaded, unload what is not used, and see what each takes."""
        now_s = self._clock.monotonic()
        news = False
        for model in (*self._models.values(), *self._gone):
            news |= model.forgive(now_s) or self._measure(model)
            if model.engine is not None:
                self._judge(model, now_s)
            elif model.stays and not model.problem and model.loading is None and self._models.get(model.name) is model:
                self._begin_to_load(model)
        self._gone = [model for model in self._gone if model.engine is not None]
        if news:
            self._changed()

    @asynccontextmanager
    async def used(self, name: str) -> AsyncIterator[Hosted]:
        """A model for the length of a request, loaded if it was not.

        Raises `ModelNotFound`, `Unavailable` where there is no room for it or it is leaving, `BackendFailed` where it
        cannot be loaded.
        """
        model = self._named(name)
        if model.is_leaving:
            raise Unavailable(f"The model {name} is being unloaded.", retry_after_s=1)
        with model.used(self._clock.monotonic):
            if model.engine is None or (model.loading is not None and not model.stays):
                await self._loaded(model)
            yield model

    async def load(self, name: str) -> None:
        """Have a model loaded, and wait for it. Raises as `used` does."""
        model = self._named(name)
        with model.used(self._clock.monotonic):
            if model.engine is None or model.loading is not None:
                await self._loaded(model)

    async def unload(self, name: str) -> None:
        """Have a model leave once its requests have ended, and wait for it; it comes back when it is asked for.

        Raises `ModelNotFound`, `Unavailable` if its requests do not end.
        """
        model = self._named(name)
        model.stays = False
        if model.engine is None:
            return
        model.is_leaving = True
        self._changed()
        try:
            async with asyncio.timeout(UNLOAD_WAIT_S):
                await model.unused()
                self._stop(model)
                await self._stopped()
        except TimeoutError as error:
            raise Unavailable(f"The model {name} is still in use.", retry_after_s=FULL_RETRY_S) from error
        finally:
            model.is_leaving = False
            self._changed()

    def _named(self, name: str) -> Hosted:
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"This worker has no model {name[:200]!r}.", model=name[:200])
        return model

    # --- loading ---------------------------------------------------------------------------------------------

    async def _loaded(self, model: Hosted) -> None:
        """Wait until a model is loaded, by a load that goes on if the one who waits goes away."""
        if model.problem:
            log.warning("model_unusable", name=model.name, reason=model.problem)
            raise BackendFailed(f"The model {model.name} cannot be loaded.")
        if self._has_ended:
            raise Unavailable("This worker is stopping.", retry_after_s=FULL_RETRY_S)
        loading = model.loading or self._begin_to_load(model)
        try:
            async with asyncio.timeout(self._settings.load_timeout_s):
                await asyncio.shield(loading)
        except TimeoutError as error:
            raise Unavailable(f"The model {model.name} is being loaded.", retry_after_s=FULL_RETRY_S) from error

    def _begin_to_load(self, model: Hosted) -> asyncio.Future[None]:
        model.loading = loading = asyncio.get_running_loop().create_future()
        self._start(self._load(model, loading), name=f"load {model.name}")
        self._changed()
        return loading

    async def _load(self, model: Hosted, loading: asyncio.Future[None]) -> None:
        """Load a model when it is its turn, and tell those who wait how that went. One that has to be fetched first may
        take half an hour, for which nobody waits who has nothing to do with it."""
        error: HyperinferError | None = None
        try:
            async with self._turn if model.entry.found else nullcontext():
                await self._load_now(model)
        except HyperinferError as failure:
            error = failure
        finally:
            model.loading = None
            self._changed()
            if error is not None:
                loading.set_exception(error)
                loading.exception()  # there may be nobody who waits for it
            elif not loading.done():
                loading.set_result(None)

    async def _load_now(self, model: Hosted) -> None:
        await self._stopped()
        if not model.stays:
            await self._make_room(model)
        plan = Plan(
            order=partial(self._order, model.entry),
            folder=self._sockets,
            load_timeout_s=self._settings.load_timeout_s,
            stall_timeout_s=self._settings.stall_timeout_s,
        )
        engine = Engine(model.name, plan, clock=self._clock, changed=self._changed, restarted=self._restarted)
        model.engine = engine
        model.is_outdated = False
        model.work = self._start(engine.run(), name=f"engine {model.name}")
        await engine.tried()
        model.used_at_s = self._clock.monotonic()
        if engine.state.state != "ready" and not model.stays:
            reason = engine.state.reason
            model.fail(reason, self._clock.monotonic())
            self._stop(model)
            log.warning("model_not_loaded", name=model.name, reason=reason)
            raise BackendFailed(f"The model {model.name} cannot be loaded.")

    async def _order(self, entry: Entry) -> EngineOrder:
        path = await self._shelf.find(entry)
        settings = self._settings
        projector = entry.found.projector if entry.found else None
        return EngineOrder(
            model_path=str(path),
            slots=settings.slots,
            context_tokens=entry.traits.context_tokens(settings.context_tokens),
            threads=machine.threads(settings.threads),
            embeds=entry.traits.embeds,
            chat_template=entry.template,
            projector_path=str(projector.path) if projector else "",
        )

    async def _make_room(self, model: Hosted) -> None:
        """Have others leave for this model. Raises `Unavailable` if that would not be enough."""
        tenants = [
            room.Tenant(
                name=other.name,
                memory_bytes=other.memory_bytes or other.needed_bytes,
                used_at_s=other.used_at_s,
                may_leave=not other.stays and not other.is_used,
            )
            for other in self._models.values()
            if other.engine is not None
        ]
        names = room.leaving(
            tenants,
            needed_bytes=model.needed_bytes,
            available_bytes=self._memory(),
            at_most=self._settings.max_loaded,
        )
        if names is None:
            log.warning("no_room", name=model.name, needed_mb=model.needed_bytes // 10**6)
            raise Unavailable(f"There is no room to load {model.name} now.", retry_after_s=FULL_RETRY_S)
        for name in names:
            log.info("model_makes_room", name=name, wanted=model.name)
            self._stop(self._models[name])
        await self._stopped()

    # --- leaving ---------------------------------------------------------------------------------------------

    def _judge(self, model: Hosted, now_s: float) -> None:
        """Unload a model that nobody uses any more, or that cannot be kept running."""
        if model.loading is not None or model.is_leaving or model.engine is None:
            return
        keep_s = self._settings.keep_alive_s
        is_idle = keep_s is not None and now_s - model.used_at_s >= keep_s
        if model.engine.state.state == "away" and not model.stays:
            model.fail(model.engine.state.reason, now_s)
            self._stop(model)
        elif not model.is_used and (model.is_outdated or model in self._gone or (is_idle and not model.stays)):
            log.info("model_unloaded", name=model.name, unused_s=round(now_s - model.used_at_s))
            self._stop(model)

    def _stop(self, model: Hosted) -> None:
        """End a model's engine; `_stopped` waits for it."""
        work, model.work, model.engine = model.work, None, None
        if work is not None:
            work.cancel()
            self._stopping.add(work)
            work.add_done_callback(self._stopping.discard)
        self._changed()

    async def _stopped(self) -> None:
        """Wait until every engine that has to end has done so."""
        while self._stopping:
            await asyncio.wait(self._stopping)

    def _measure(self, model: Hosted) -> bool:
        """See what memory a model takes; says whether that is news."""
        pid = model.engine.pid if model.engine else None
        try:
            now_bytes = psutil.Process(pid).memory_info().rss if pid is not None else 0
        except psutil.Error:  # it has just ended
            return False
        before, model.memory_bytes = model.memory_bytes, now_bytes
        return abs(now_bytes - before) > NOTABLE_BYTES

    def _start(self, work: Coroutine[None, None, None], *, name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
