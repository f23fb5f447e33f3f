"""The embedded engine as a backend: one model, its slots, and a restart for every crash."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, EmbeddingRequest
from hyperinfer.errors import Unsupported
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.inference.backends import CHAT, JSON, BackendModel, Embedded, Emit, End, Job
from hyperinfer.workers.inference.backends.llamacpp import machine, weights, wire
from hyperinfer.workers.inference.backends.llamacpp.client import EngineLost, EngineStalled
from hyperinfer.workers.inference.backends.llamacpp.engine import Engine, Plan
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings


class LlamaCpp:
    """Runs one model in the embedded engine."""

    name = "llamacpp"

    def __init__(self, model: str, engine: Engine, settings: LlamaCppSettings) -> None:
        self._model = model
        self._engine = engine
        self._settings = settings

    @property
    def pid(self) -> int | None:
        """The engine's process now."""
        return self._engine.pid

    def models(self) -> Sequence[BackendModel]:
        """The one model."""
        now = self._engine.state
        return (
            BackendModel(
                name=self._model,
                state=now.state,
                slots=self._settings.slots,
                context_tokens=now.props.context_tokens if now.props else self._settings.context_tokens,
                capabilities=(CHAT, JSON),
                reason=now.reason,
            ),
        )

    @property
    def away(self) -> str:
        """It is part of this worker: never."""
        return ""

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer. A request that an engine which just died has never seen goes to the next one."""
        body = wire.encode(job.request)
        try:
            return await self._chat(body, emit)
        except EngineLost as error:
            if error.begun:
                raise
        return await self._chat(body, emit)

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Raises `Unsupported`."""
        raise Unsupported("This model does not go on with texts.", param="model")

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Raises `Unsupported`."""
        raise Unsupported("This model makes no embeddings.", param="model")

    async def load(self, model: str) -> None:
        """It loads by itself."""

    async def unload(self, model: str) -> None:
        """Raises `Unsupported`."""
        raise Unsupported("This model stays loaded.", param="model")

    async def _chat(self, body: bytes, emit: Emit) -> End:
        client = await self._engine.client()
        try:
            return await client.chat(body, emit)
        except EngineLost:
            await self._engine.lost(client)
            raise
        except EngineStalled:
            await self._engine.stalled(client)
            raise


@asynccontextmanager
async def open_llamacpp(
    settings: LlamaCppSettings,
    *,
    data: Path,
    clock: Clock,
    changed: Callable[[], None],
    restarted: Callable[[], None],
) -> AsyncIterator[LlamaCpp]:
    """The embedded engine for the length of the block; it loads its model meanwhile.

    `data` is a folder that no other worker uses. Raises `StartError` if it can never run.
    """
    machine.check()
    source = weights.source(settings.model_path, data)
    name = settings.model_name or source.name
    plan = Plan(
        find=source.find,
        data=data,
        slots=settings.slots,
        context_tokens=settings.context_tokens,
        threads=machine.threads(settings.threads),
        load_timeout_s=settings.load_timeout_s,
        stall_timeout_s=settings.stall_timeout_s,
    )
    engine = Engine(name, plan, clock=clock, changed=changed, restarted=restarted)
    async with background(engine.run(), name=f"engine {name}"):
        yield LlamaCpp(name, engine, settings)
