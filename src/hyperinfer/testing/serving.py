"""An inference worker's service with a single backend, asked as gateways ask it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar

import msgspec
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import Kind, Processed, ProcessRequest
from hyperinfer.contracts.method import NO_META
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference.backends import Backend, BackendModel
from hyperinfer.workers.inference.cache.opened import in_memory
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService

B = TypeVar("B", bound=Backend)
TIMEOUT_S = 10.0


class Heard:
    """What a streamed request says; `enough` is set once there have been so many chunks."""

    def __init__(self, wanted: int = 1) -> None:
        self.chunks: list[dict[str, Any]] = []
        self.enough = asyncio.Event()
        self._wanted = wanted

    async def __call__(self, chunks: Sequence[bytes]) -> None:
        """Take these."""
        self.chunks += [json.loads(chunk) for chunk in chunks]
        if len(self.chunks) >= self._wanted:
            self.enough.set()

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """What each chunk after the first adds."""
        return [choice["delta"] for chunk in self.chunks[1:] for choice in chunk["choices"]]

    @property
    def text(self) -> str:
        """All of it together."""
        return "".join(delta.get("content") or "" for delta in self.deltas)


class Serving(Generic[B]):
    """A service with this backend. `changes` counts how often the backend has called back."""

    def __init__(self, **settings: Any) -> None:
        self._changed = asyncio.Event()
        self.changes = 0
        self.backend: B
        clock, registry, told = SystemClock(), CollectorRegistry(), InferenceSettings(**settings)
        cache = in_memory(told.cache, clock=clock, registry=registry)
        self.service = InferenceService(told, clock=clock, meters=Meters(registry, clock), cache=cache)

    @asynccontextmanager
    async def running(self, opened: AbstractAsyncContextManager[B]) -> AsyncIterator[None]:
        """Serve the backend for the length of the block; it calls `changed` back, and `self.service.add` has been, or will
        be, called with it by whoever opens it."""
        async with opened as self.backend:
            yield

    def changed(self) -> None:
        """The backend's catalogue has changed."""
        self.changes += 1
        self.service.refresh()
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    @property
    def models(self) -> Mapping[str, BackendModel]:
        """What the backend has, by name."""
        return {model.name: model for model in self.backend.models()}

    async def until(self, check: Callable[[Mapping[str, BackendModel]], bool], *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until this holds for the backend's models."""
        async with asyncio.timeout(timeout_s):
            while not check(self.models):
                await self._changed.wait()

    async def until_there(self, *, is_there: bool = True) -> None:
        """Wait until the backend can be reached, or cannot."""
        await self.until(lambda models: bool(self.backend.away) is not is_there)

    async def ask(
        self, body: Mapping[str, Any], *, kind: Kind = "chat", send: Send | None = None, **fields: Any
    ) -> Processed:
        """Have a request answered."""
        call = Call(caller=b"\0" * 32, roles=frozenset({"gateway"}), meta=NO_META, deadline=float("inf"), send=send)
        request = ProcessRequest(kind=kind, body=msgspec.Raw(json.dumps(body).encode()), **fields)
        return await self.service.process(request, call)

    async def whole(self, body: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Have a request answered in one piece: OpenAI's object."""
        answer: dict[str, Any] = json.loads(bytes((await self.ask(body, **fields)).completion))
        return answer
