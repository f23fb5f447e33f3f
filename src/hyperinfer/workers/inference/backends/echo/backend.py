"""The echo backend: an answer without a model, as fast or as slow as it is told, for tests and benchmarks."""

import asyncio
import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest
from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.backends import BackendModel, Embedded, Emit, End, Job, State
from hyperinfer.workers.inference.backends.echo import plan
from hyperinfer.workers.inference.backends.echo.plan import Plan, words_of
from hyperinfer.workers.inference.backends.echo.settings import MAX_DIMENSIONS, EchoSettings
from hyperinfer.workers.inference.requests.chat import text_of
from hyperinfer.workers.inference.requests.texts import texts_of

BATCH = 32
"""Pieces given on at once when no time is to pass between them."""


class Echo:
    """Says the last user message again, word by word. `changed` is called when its model is loaded or unloaded."""

    name = "echo"
    away = ""

    def __init__(self, settings: EchoSettings, clock: Clock, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._loading = asyncio.Lock()
        self._model = BackendModel(
            name=settings.model,
            state="ready",
            slots=settings.slots,
            context_tokens=settings.context_tokens,
            capabilities=settings.capabilities,
            revision=hashlib.sha256(msgspec.json.encode(settings)).hexdigest(),
        )
        self._numbered = plan.numbered_pieces(settings)
        self._garbage = plan.garbage()

    def models(self) -> Sequence[BackendModel]:
        """The one model."""
        return (self._model,)

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer. Raises `ContextExceeded`, and `BackendFailed` where a fault is set."""
        return await self._say(
            _words(job.request), job, lambda: plan.of_chat(job.request, self._settings, job.so_far), emit
        )

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Go on with a text. Raises as `chat` does."""
        tokens = len(str(job.request.prompt).split())
        return await self._say(tokens, job, lambda: plan.of_text(job.request, self._settings, job.so_far), emit)

    async def count(self, job: Job[ChatRequest]) -> int | None:
        """Words, which are its tokens."""
        return _words(job.request)

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Vectors of length 1, made of the texts' hashes. Raises as `chat` does."""
        texts = [str(text) for text in texts_of(job.request.input, "input")]
        tokens = [len(text.split()) for text in texts]
        self._check_context(max(tokens), "input")
        await self._begin()
        size = job.request.dimensions or self._settings.dimensions
        if size > MAX_DIMENSIONS:
            raise BadRequest(f"dimensions: This model's embeddings have at most {MAX_DIMENSIONS}.", param="dimensions")
        return Embedded(tuple(_vector(text, size) for text in texts), sum(tokens))

    async def load(self, model: str) -> None:
        """Load the model, if it is not."""
        async with self._loading:
            if self._model.state != "ready":
                self._set("loading")
                await self._clock.sleep(self._settings.load_s)
                self._set("ready")

    async def unload(self, model: str) -> None:
        """Unload the model; its next request loads it."""
        async with self._loading:
            self._set("idle")

    async def _say(
        self,
        prompt_tokens: int,
        job: Job[ChatRequest] | Job[CompletionRequest],
        decide: Callable[[], Plan],
        emit: Emit,
    ) -> End:
        settings = self._settings
        self._check_context(prompt_tokens, "messages" if isinstance(job.request, ChatRequest) else "prompt")
        await self._begin()
        planned = self._plan(job, decide)
        broken = settings.fault in ("in_mid_stream", "stall")
        await self._emit(planned.pieces[: settings.fault_after_tokens] if broken else planned.pieces, emit)
        if settings.fault == "in_mid_stream":
            raise BackendFailed("The echo backend broke off in mid-stream, as it was told to.")
        if settings.fault == "stall":
            await asyncio.get_running_loop().create_future()
        so_far = len(words_of(job.so_far))
        ended = End.of(planned.finish_reason, prompt_tokens + so_far, planned.tokens)
        return replace(ended, continued_tokens=so_far, stopped_by=planned.stopped_by)

    def _plan(self, job: Job[ChatRequest] | Job[CompletionRequest], decide: Callable[[], Plan]) -> Plan:
        settings, asked = self._settings, job.request
        if settings.fault == "garbage":
            return self._garbage
        if not isinstance(asked, ChatRequest) or asked.tools or asked.response_format or asked.logprobs:
            return decide()
        limit = settings.tokens if asked.limit_tokens is None else asked.limit_tokens
        if settings.tokens and limit >= settings.tokens and not (asked.stops or job.so_far):
            return Plan(self._numbered, settings.tokens, "stop")
        return decide()

    async def _begin(self) -> None:
        await self.load(self._model.name)
        if self._settings.first_token_s:
            await self._clock.sleep(self._settings.first_token_s)
        if self._settings.fault == "before_first_token":
            raise BackendFailed("The echo backend fails before its first token, as it was told to.")

    async def _emit(self, pieces: Sequence[ChunkChoice], emit: Emit) -> None:
        if self._settings.token_s:
            for piece in pieces:
                await emit([piece])
                await self._clock.sleep(self._settings.token_s * self._settings.tokens_per_chunk)
            return
        for start in range(0, len(pieces), BATCH):
            await emit(pieces[start : start + BATCH])
            if start:
                await asyncio.sleep(0)  # a long answer leaves room for others

    def _check_context(self, prompt_tokens: int, param: str) -> None:
        most = self._settings.context_tokens
        if prompt_tokens > most:
            raise ContextExceeded(
                f"{param} has {prompt_tokens} tokens; this model takes {most}.",
                param=param,
                prompt_tokens=prompt_tokens,
                context_tokens=most,
            )

    def _set(self, state: State) -> None:
        self._model = replace(self._model, state=state)
        self._changed()


def _words(asked: ChatRequest) -> int:
    return sum(len(text_of(message).split()) for message in asked.messages)


def _vector(text: str, size: int) -> bytes:
    stream = hashlib.shake_256(text.encode()).digest(size)
    numbers = [byte / 127.5 - 1 for byte in stream]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return struct.pack(f"<{size}f", *(number / length for number in numbers))
