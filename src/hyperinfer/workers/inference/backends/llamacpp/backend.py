"""The embedded engine as a backend: every model of the machine in a process of its own, loaded when it is asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest, ImagePart
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import unwrapped
from hyperinfer.workers.inference.backends import BackendModel, Embedded, Emit, End, Job
from hyperinfer.workers.inference.backends.llamacpp import machine
from hyperinfer.workers.inference.backends.llamacpp.client import EngineClient, EngineLost, EngineStalled
from hyperinfer.workers.inference.backends.llamacpp.hosted import Hosted
from hyperinfer.workers.inference.backends.llamacpp.loader import Loader
from hyperinfer.workers.inference.backends.llamacpp.process import sockets
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.llamacpp.shelf import Shelf
from hyperinfer.workers.inference.backends.llamacpp.wire import chats, forced, said, texts
from hyperinfer.workers.inference.requests.refusals import unsupported
from hyperinfer.workers.inference.requests.texts import Text, texts_of

AT_ONCE = 16
AT_ONCE_SIZE = 16 * 1024
"""Texts, and characters or tokens of them, that the engine is asked to embed in one go: it cannot be stopped meanwhile."""

SPECIAL_TOKENS = 4
"""What a model adds to a text to embed, at most."""

T = TypeVar("T")


class LlamaCpp:
    """Runs models in the embedded engine."""

    name = "llamacpp"

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def hosted(self, model: str = "") -> Hosted:
        """One model with its engine; the first, if none is named. Raises `KeyError`."""
        models = {hosted.name: hosted for hosted in self._loader.models}
        return models[model or next(iter(models))]

    def models(self) -> Sequence[BackendModel]:
        """What there is, the model that is always loaded first."""
        return tuple(model.offered() for model in self._loader.models)

    @property
    def away(self) -> str:
        """It is part of this worker: never."""
        return ""

    async def load(self, model: str) -> None:
        """Make a model ready. Raises `Unavailable` if there is no room for it, `BackendFailed`."""
        await self._loader.load(model)

    async def unload(self, model: str) -> None:
        """Give a model's memory back once its requests have ended."""
        await self._loader.unload(model)

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer a chat."""
        if tools := chats.forced(job.request):
            body = chats.rendering(job.request)
            _check_forced(job.request)
            schema = forced.schema(tools)

            async def call(client: EngineClient) -> End:
                held = texts.held_to(schema, await client.render(body), job.request)
                return await _call(client, held, forced.CallReader(tools), emit)

            return await self._ask(job.model, call)
        body = chats.encode(job.request, job.so_far)
        end = await self._ask(job.model, lambda client: client.chat(body, emit))
        if not job.so_far:
            return end
        bare = await self._ask(job.model, lambda client: _count(client, job.request))
        return replace(end, continued_tokens=max(0, end.usage.prompt_tokens - bare))

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Go on with a text, or fill in what is before another."""
        request = job.request
        body = texts.encode(request, job.so_far)
        if request.suffix is not None:
            return await self._ask(job.model, lambda client: client.fill_in(body, emit))
        end = await self._ask(job.model, lambda client: client.complete(body, emit))
        if not job.so_far:
            return end
        bare = await self._ask(job.model, lambda client: client.count(str(request.prompt)))
        return replace(end, continued_tokens=max(0, end.usage.prompt_tokens - bare))

    async def count(self, job: Job[ChatRequest]) -> int | None:
        """Tokens of a chat as the model's template writes it; not of images, which only reading them would tell."""
        if any(isinstance(part, ImagePart) for message in job.request.messages for part in message.content or ()):
            return None
        return await self._ask(job.model, lambda client: _count(client, job.request))

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Embed texts, some at a time. Raises `ContextExceeded` for one that is too long, before any is embedded."""
        inputs = texts_of(job.request.input, "input")
        vectors: list[bytes] = []
        tokens = 0
        async with self._loader.used(job.model) as model:
            await self._check_lengths(model, inputs)
            for some in _portions(inputs):
                reply = await self._asked(model, partial(EngineClient.embed, inputs=some))
                vectors += reply.in_order(len(some))
                tokens += reply.usage.prompt_tokens
        return Embedded(tuple(vectors), tokens)

    async def _check_lengths(self, model: Hosted, inputs: Sequence[Text]) -> None:
        """Raise `ContextExceeded` for the first text that is too long. A token is a byte at least, so that most texts need
        not be counted."""
        limit = model.offered().context_tokens
        for text in inputs:
            size = len(text.encode()) if isinstance(text, str) else len(text)
            if size + SPECIAL_TOKENS <= limit:
                continue
            count = await self._asked(model, partial(_length, text=text))
            if count > limit:
                raise said.exceeded(count, limit, "input")

    async def _ask(self, name: str, ask: Callable[[EngineClient], Awaitable[T]]) -> T:
        async with self._loader.used(name) as model:
            return await self._asked(model, ask)

    async def _asked(self, model: Hosted, ask: Callable[[EngineClient], Awaitable[T]]) -> T:
        """Ask a model's engine. What an engine that just died has never seen goes to the next one."""
        try:
            return await self._asked_once(model, ask)
        except EngineLost as error:
            if error.begun:
                raise
        return await self._asked_once(model, ask)

    async def _asked_once(self, model: Hosted, ask: Callable[[EngineClient], Awaitable[T]]) -> T:
        client, engine = await model.client(), model.engine
        try:
            return await ask(client)
        except EngineLost:
            if engine is not None:
                await engine.lost(client)
            raise
        except EngineStalled:
            if engine is not None:
                await engine.stalled(client)
            raise


@asynccontextmanager
async def open_llamacpp(
    settings: LlamaCppSettings,
    *,
    data: Path,
    models: Path,
    default: str,
    clock: Clock,
    changed: Callable[[], None],
    restarted: Callable[[], None],
) -> AsyncIterator[LlamaCpp]:
    """The embedded engine for the length of the block; what it loads first, it loads meanwhile.

    `data` is a folder that no other worker uses, `models` the one of pulled models; `default` names the model that answers
    requests without one, if that is configured. Raises `StartError` if it can never run.
    """
    machine.check()
    shelf = Shelf(settings, data=data, models=models, default=default)
    with sockets(data) as folder, unwrapped():
        async with asyncio.TaskGroup() as group:
            loader = Loader(
                shelf, settings, group=group, sockets=folder, clock=clock, changed=changed, restarted=restarted
            )
            try:
                await loader.look()
                loader.sweep()
                loader.begin()
                yield LlamaCpp(loader)
            finally:
                loader.end()


async def _call(client: EngineClient, body: bytes, reading: forced.CallReader, emit: Emit) -> End:
    async def take(pieces: Sequence[ChunkChoice]) -> None:
        if deltas := reading.take(pieces):
            await emit(deltas)

    end = await client.complete(body, take, "messages")
    rest, reason = reading.end(end.finish_reasons[0])
    if rest:
        await emit(rest)
    return replace(end, finish_reasons=(reason,))


def _check_forced(request: ChatRequest) -> None:
    """Raise `Unsupported` for what a call that is held to a schema cannot be combined with."""
    if request.response_format is not None and request.response_format.__struct_config__.tag != "text":
        raise unsupported("response_format", "This model calls tools or keeps to a format, not both at once.")
    if request.logprobs:
        raise unsupported("logprobs", "A tool call that is required tells no logprobs.")
    if any(isinstance(part, ImagePart) for message in request.messages for part in message.content or ()):
        raise unsupported("tool_choice", "With images this model can only be left free to call a tool.")


async def _count(client: EngineClient, request: ChatRequest) -> int:
    """Tokens of a chat without an answer."""
    return await client.count(await client.render(chats.bare(request)))


async def _length(client: EngineClient, text: Text) -> int:
    return await client.count(text) if isinstance(text, str) else len(text)


def _portions(inputs: Sequence[Text]) -> Iterator[Sequence[Text]]:
    """The texts in portions that are quickly done."""
    portion: list[Text] = []
    size = 0
    for text in inputs:
        if portion and (len(portion) == AT_ONCE or size + len(text) > AT_ONCE_SIZE):
            yield portion
            portion, size = [], 0
        portion.append(text)
        size += len(text)
    yield portion
