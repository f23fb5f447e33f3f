"""The inference worker's decisions for one request: which model, can it do this, when is its turn, how did it go."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import msgspec

from hyperinfer import __version__
from hyperinfer.contracts.inference import (
    BackendStatus,
    CountPrompt,
    Kind,
    ModelStatus,
    Processed,
    ProcessRequest,
    PromptCount,
    WorkerStatus,
)
from hyperinfer.contracts.openai import ChatRequest
from hyperinfer.errors import Overloaded
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference import requests
from hyperinfer.workers.inference.answering import Answering
from hyperinfer.workers.inference.answers import Stamp
from hyperinfer.workers.inference.answers.stamp import PREFIXES
from hyperinfer.workers.inference.backends import Backend, Job
from hyperinfer.workers.inference.bell import Bell
from hyperinfer.workers.inference.cache import ResponseCache
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.generation import Patience
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.models import Model, Models
from hyperinfer.workers.inference.slots import Slots
from hyperinfer.workers.inference.times import Times

REPORT_EVERY_S = 1.0
MAX_COUNTING = 8
"""Prompts that are counted at the same time: it takes no slot, but work all the same."""
COALESCE_S = 0.05
"""Changes closer together than this are reported as one."""

_encoder = msgspec.json.Encoder()


class InferenceService:
    """What an inference worker does, for callers of every kind."""

    def __init__(self, settings: InferenceSettings, *, clock: Clock, meters: Meters, cache: ResponseCache) -> None:
        self._settings = settings
        self._cache = cache
        self._clock = clock
        self._meters = meters
        self._bell = Bell()
        self._backends: list[Backend] = []
        self._models = Models(default=settings.default_model, new_slots=self._new_slots, clock=clock)
        self._patience = Patience(settings.first_token_timeout_s, settings.stall_timeout_s)
        self._running = 0
        self._counting = 0
        self._draining = False
        meters.show(self.status)

    def add(self, backend: Backend) -> None:
        """Serve the models of this backend too."""
        self._backends.append(backend)
        self.refresh()

    def refresh(self) -> None:
        """Some backend's catalogue has changed."""
        self._models.refresh(self._backends)
        self._bell.ring()

    async def process(self, request: ProcessRequest, call: Call) -> Processed:
        """Answer a request, streamed if the call has somewhere to send chunks to.

        Raises `ModelNotFound`, `Unavailable`, `Overloaded`, `BadRequest` and its kinds, `BackendFailed`.
        """
        return await self._process(request, request.kind, call)

    async def embed(self, request: ProcessRequest, call: Call) -> Processed:
        """Embed texts. Raises as `process` does."""
        return await self._process(request, "embedding", call)

    async def _process(self, request: ProcessRequest, kind: Kind, call: Call) -> Processed:
        times = Times(self._clock, self._clock.monotonic())
        with self._counted():
            model = self._models.find(request.model)
            call.note(model=model.name, kind=kind, streamed=call.send is not None)
            read = requests.read(request, kind).told(request.effort, model.offered.capabilities)
            read.check(model.offered.capabilities, continues=request.continues is not None)
            answering = Answering(
                model,
                request,
                read,
                self._stamp(request, read.kind, model),
                times,
                deadline=call.deadline,
                patience=self._patience,
                cache=self._cache,
            )
            with model.blamed():
                processed = await answering.run(call.send)
        call.note(**_facts(processed))
        if processed.cache != "hit":
            self._measure(model, processed, times)
        return processed

    async def count(self, request: CountPrompt, call: Call) -> PromptCount:
        """How many tokens a chat's prompt has. Takes no slot. Raises as `process`, `Overloaded` if too many are counted."""
        model = self._models.find(request.model)
        read = requests.read(ProcessRequest(body=request.body), "chat")
        read.check(model.offered.capabilities, continues=False)
        if self._counting >= MAX_COUNTING:
            raise Overloaded("Too many prompts are being counted.", model=model.name, retry_after_s=REPORT_EVERY_S)
        asked = cast(ChatRequest, read.asked)
        self._counting += 1
        try:
            tokens = await model.backend.count(Job(model.name, asked, read.body))
        finally:
            self._counting -= 1
        return PromptCount(
            prompt_tokens=requests.estimate(asked) if tokens is None else tokens,
            model=model.name,
            exact=tokens is not None,
        )

    async def load(self, name: str) -> ModelStatus:
        """Make a model ready. Raises `ModelNotFound`, `Unsupported`, `Unavailable`, `BackendFailed`."""
        await self._models.named(name).backend.load(name)
        return self.model_status(name)

    async def unload(self, name: str) -> ModelStatus:
        """Give a model's memory back; who waits for it is refused. Raises as `load` does."""
        model = self._models.named(name)
        model.refuse_waiting(f"The model {name} is being unloaded.")
        await model.backend.unload(name)
        return self.model_status(name)

    def status(self) -> WorkerStatus:
        """What the worker has and how busy it is."""
        models = tuple(model.status() for model in self._models)
        backends = tuple(
            BackendStatus(name=backend.name, available=not backend.away, models=len(backend.models()))
            for backend in self._backends
        )
        return WorkerStatus(models=models, draining=self._draining, version=__version__, backends=backends)

    def model_status(self, name: str) -> ModelStatus:
        """One model. Raises `ModelNotFound`."""
        return self._models.named(name).status()

    async def watch(self, send: Send) -> None:
        """Send the status at once, on every change and at least once a second; ends when the worker has drained."""
        while True:
            changed = self._bell.listen()
            await send([_encoder.encode(self.status())])
            if self._draining and not self._running:
                return
            await self._clock.sleep(COALESCE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_EVERY_S):
                    await changed.wait()

    def drain(self) -> None:
        """Say that no new request will be taken."""
        self._draining = True
        self._bell.ring()

    def not_ready(self) -> Sequence[str]:
        """Why no request could be answered now."""
        return self._models.not_ready()

    def _stamp(self, request: ProcessRequest, kind: Kind, model: Model) -> Stamp:
        return Stamp(
            id=request.completion_id or f"{PREFIXES[kind]}-{secrets.token_hex(12)}",
            created=request.created or int(self._clock.now().timestamp()),
            model=request.public_model or model.name,
            kind=kind,
        )

    def _new_slots(self, model: str, limit: int) -> Slots:
        settings, meters = self._settings, self._meters.model(model)
        return Slots(
            limit,
            queue_limit=settings.queue,
            wait_s=settings.queue_wait_s,
            clock=self._clock,
            changed=self._bell.ring,
            waited=meters.queued_s.observe,
            refused=meters.refused,
        )

    def _measure(self, model: Model, processed: Processed, times: Times) -> None:
        tokens = processed.usage.completion_tokens
        speed = model.served(tokens, first_token_s=times.first_token_s - times.waited_s, later_s=times.later_s)
        self._meters.model(model.name).answered(processed, times, speed=speed)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a request in, and out."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._bell.ring()


def _facts(processed: Processed) -> dict[str, Any]:
    """What the log and the trace tell of an answer."""
    return {
        "prompt_tokens": processed.usage.prompt_tokens,
        "completion_tokens": processed.usage.completion_tokens,
        "first_token_ms": round(processed.first_token_s * 1000, 3),
        "queued_ms": round(processed.queued_s * 1000, 3),
        "finish": processed.finish_reason,
        **({"cache": processed.cache} if processed.cache else {}),
    }
