"""The inference service with the real engine on one thread, asked as the gateway asks it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import ModelStatus, Processed, ProcessRequest, WorkerStatus
from hyperinfer.contracts.method import NO_META
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference.backends.llamacpp import weights
from hyperinfer.workers.inference.backends.llamacpp.backend import LlamaCpp, open_llamacpp
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.cache import in_memory
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService

MODEL = "smollm2-135m"


class Asking:
    """One streamed request: its chunks as they come."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.chunks: list[dict[str, Any]] = []
        self.began = asyncio.Event()

    async def send(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            said = msgspec.json.decode(chunk)
            if "choices" not in said:
                self.head = said
                continue
            self.chunks.append(said)
            self.began.set()

    @property
    def text(self) -> str:
        return "".join(choice["delta"].get("content", "") for chunk in self.chunks for choice in chunk["choices"])


class House:
    """A running service. `until` waits for a state of its first model."""

    def __init__(self, service: InferenceService, backend: LlamaCpp, registry: CollectorRegistry) -> None:
        self.service = service
        self.backend = backend
        self.registry = registry
        self._status = WorkerStatus()
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        async def take(reports: Sequence[bytes]) -> None:
            async with self._changed:
                self._status = msgspec.json.decode(reports[-1], type=WorkerStatus)
                self._changed.notify_all()

        await self.service.watch(take)

    async def until(self, condition: Callable[[ModelStatus], bool], timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: bool(self._status.models) and condition(self._status.models[0]))

    async def ready(self) -> None:
        await self.until(lambda model: model.state == "ready")

    async def until_models(self, condition: Callable[[dict[str, ModelStatus]], bool], timeout_s: float = 20.0) -> None:
        """Wait for a state of all models, by name."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition({model.name: model for model in self._status.models}))

    def pid(self, model: str = "") -> int:
        """The engine's process of a model, or of the first one."""
        engine = self.backend.hosted(model).engine
        assert engine is not None
        assert engine.pid is not None
        return engine.pid

    async def ask(self, body: dict[str, Any], send: Send | None = None, **fields: Any) -> Processed:
        request = ProcessRequest(body=msgspec.Raw(msgspec.json.encode(body)), **fields)
        return await self.service.process(request, call(send))

    async def say(self, text: str, **params: Any) -> str:
        """The answer to a single message, whole."""
        processed = await self.ask({"messages": [{"role": "user", "content": text}], **params})
        answer: str = msgspec.json.decode(processed.completion)["choices"][0]["message"]["content"]
        return answer


def call(send: Send | None = None) -> Call:
    return Call(caller=b"\0" * 32, roles=frozenset({"gateway"}), meta=NO_META, deadline=float("inf"), send=send)


@asynccontextmanager
async def house(
    tmp_path: Path, *, queue: int = 64, default: str = "", clock: Clock | None = None, **settings: Any
) -> AsyncIterator[House]:
    """A service with the engine; models are looked for in `tmp_path/models`."""
    clock, registry = clock or SystemClock(), CollectorRegistry()
    llamacpp = LlamaCppSettings(**{"threads": 1, "context_tokens": 512, **settings})
    meters = Meters(registry, clock)
    given = InferenceSettings(llamacpp=llamacpp, queue=queue, default_model=default)
    cache = in_memory(given.cache, clock=clock, registry=registry)
    service = InferenceService(given, clock=clock, meters=meters, cache=cache)
    async with open_llamacpp(
        llamacpp,
        data=tmp_path,
        models=tmp_path / "models",
        default=default,
        clock=clock,
        changed=service.refresh,
        restarted=meters.restarts.labels("llamacpp").inc,
    ) as backend:
        service.add(backend)
        running = House(service, backend, registry)
        async with background(running.follow(), name="status"):
            yield running


def shelve(folder: Path, *names: str, suffix: str = ".gguf") -> Path:
    """Put the packaged model into a folder under these names, without copying it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}{suffix}").symlink_to(weights.path(weights.SMOLLM2))
    return folder
