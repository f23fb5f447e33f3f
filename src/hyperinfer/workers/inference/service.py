"""The inference worker's decisions for one request: which model, can it do this, when is its turn, how did it go."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from hyperinfer import __version__
from hyperinfer.contracts.inference import ModelStatus, Processed, ProcessRequest, Usage, WorkerStatus
from hyperinfer.contracts.openai import ChatRequest, Delta
from hyperinfer.errors import BackendFailed, HyperinferError, ModelNotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference import requests
from hyperinfer.workers.inference.answers import Answer, Stamp, StreamedAnswer, WholeAnswer
from hyperinfer.workers.inference.backends import Backend, End
from hyperinfer.workers.inference.bell import Bell
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.models import Model, Models
from hyperinfer.workers.inference.slots import Slots
from hyperinfer.workers.inference.times import Times

REPORT_EVERY_S = 1.0
COALESCE_S = 0.05
"""Changes closer together than this are reported as one."""

_encoder = msgspec.json.Encoder()


class InferenceService:
    """What an inference worker does, for callers of every kind."""

    def __init__(self, settings: InferenceSettings, *, clock: Clock, meters: Meters) -> None:
        self._settings = settings
        self._clock = clock
        self._meters = meters
        self._bell = Bell()
        self._backends: list[Backend] = []
        self._models = Models(default=settings.default_model, new_slots=self._new_slots)
        self._running = 0
        self._draining = False
        meters.show_load(lambda: self.status().models)

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
        arrived = self._clock.monotonic()
        with self._counted():
            model = self._models.find(request.model)
            chat = requests.read(request)
            requests.check(chat, model.offered.capabilities)
            answer = self._answer(request, chat, model, call.send)
            times = Times(self._clock, arrived)
            async with model.slots.take(request.fair_key):
                end = await self._generate(model, chat, answer, times)
            completion = await answer.end(end)
        self._measure(model, end, times)
        return Processed(
            usage=Usage(prompt_tokens=end.usage.prompt_tokens, completion_tokens=end.usage.completion_tokens),
            finish_reason=end.finish_reason,
            model=request.public_model or model.name,
            completion=completion,
            first_token_s=round(times.first_token_s, 6),
            duration_s=round(times.duration_s, 6),
            response=answer.text if isinstance(answer, WholeAnswer) and request.prompt is not None else None,
        )

    def status(self) -> WorkerStatus:
        """What the worker has and how busy it is."""
        models = tuple(model.status() for model in self._models)
        return WorkerStatus(models=models, draining=self._draining, version=__version__)

    def model_status(self, name: str) -> ModelStatus:
        """One model. Raises `ModelNotFound`."""
        for model in self._models:
            if model.name == name:
                return model.status()
        raise ModelNotFound(f"This worker has no model {name[:200]!r}.", model=name[:200])

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

    def _answer(self, request: ProcessRequest, chat: ChatRequest, model: Model, send: Send | None) -> Answer:
        stamp = Stamp(
            id=request.completion_id or f"chatcmpl-{secrets.token_hex(12)}",
            created=request.created or int(self._clock.now().timestamp()),
            model=request.public_model or model.name,
        )
        return WholeAnswer(stamp) if send is None else StreamedAnswer(stamp, send, with_usage=chat.wants_usage)

    def _new_slots(self, limit: int) -> Slots:
        settings = self._settings
        return Slots(
            limit,
            queue_limit=settings.queue,
            wait_s=settings.queue_wait_s,
            clock=self._clock,
            changed=self._bell.ring,
        )

    async def _generate(self, model: Model, chat: ChatRequest, answer: Answer, times: Times) -> End:
        """Have the backend answer, in the slot that is held."""
        times.begin()

        async def take(deltas: Sequence[Delta]) -> None:
            times.token()
            await answer.take(deltas)

        try:
            end = await model.backend.chat(model.name, chat, take)
        except BackendFailed:
            model.failed()
            raise
        times.end()
        return end

    def _measure(self, model: Model, end: End, times: Times) -> None:
        speed = model.served(end, first_token_s=times.first_token_s - times.waited_s, later_s=times.later_s)
        meters = self._meters.model(model.name)
        meters.first_token_s.observe(times.first_token_s)
        meters.duration_s.observe(times.duration_s)
        meters.prompt_tokens.inc(end.usage.prompt_tokens)
        meters.completion_tokens.inc(end.usage.completion_tokens)
        if speed:
            meters.tokens_per_s.observe(speed)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a request in, and out by its outcome."""
        self._running += 1
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except HyperinferError as error:
            outcome = error.code
            raise
        finally:
            self._meters.count(outcome)
            self._running -= 1
            self._bell.ring()
