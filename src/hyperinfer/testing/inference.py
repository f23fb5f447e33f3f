"""An inference worker that answers what a test tells it to and reports what a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec.structs import replace

from hyperinfer.contracts.inference import (
    COUNT_TOKENS,
    PROCESS_REQUEST,
    WATCH_STATUS,
    Began,
    CountPrompt,
    ModelStatus,
    Processed,
    ProcessRequest,
    PromptCount,
    Usage,
    WorkerStatus,
)
from hyperinfer.contracts.method import Nothing
from hyperinfer.kernel.calls import Call, Caller, Send, route
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType

Answer = Callable[[ProcessRequest, Call], Awaitable[Processed]]
Count = Callable[[CountPrompt, Call], Awaitable[PromptCount]]

REPORT_EVERY_S = 1.0


class FakeInference:
    """One inference worker with these models.

    `answer` and `count` may be replaced, `report` changes what it says of itself, and while `silent` it says nothing.
    """

    def __init__(self, *models: str, slots: int = 4) -> None:
        self.answer: Answer = echo
        self.count: Count = seven
        self.requests: list[ProcessRequest] = []
        self.silent = False
        self._status = WorkerStatus(
            models=tuple(
                ModelStatus(name=name, backend="fake", state="ready", slots=slots, busy=0, queued=0, context_tokens=512)
                for name in models
            )
        )
        self._changed = asyncio.Event()

    def report(self, *, draining: bool = False, **changes: object) -> None:
        """Report this of every model from now on, at once."""
        models = tuple(replace(model, **changes) for model in self._status.models)
        self._status = WorkerStatus(models=models, draining=draining)
        self._changed.set()
        self._changed = asyncio.Event()

    def worker(self) -> WorkerType[WorkerSettings]:
        """The worker, to be run in a swarm."""
        return WorkerType(name="inference", settings=WorkerSettings, observe_port=9102, open=self._open)

    @asynccontextmanager
    async def _open(self, context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
        self.report()  # it does not drain any more, should it have run before
        routes = (
            route(PROCESS_REQUEST, self._process),
            route(COUNT_TOKENS, self._count),
            route(WATCH_STATUS, self._watch),
        )
        yield Service(routes=routes, announces=("inference",), on_drain=lambda: self.report(draining=True))

    async def _process(self, request: ProcessRequest, call: Call) -> Processed:
        self.requests.append(request)
        return await self.answer(request, replace(call, send=_after_began(call.send)) if call.send else call)

    async def _count(self, request: CountPrompt, call: Call) -> PromptCount:
        return await self.count(request, call)

    async def _watch(self, request: Nothing, call: Call) -> Nothing:
        while not self._status.draining:
            changed = self._changed
            if not self.silent:
                await call.stream([msgspec.json.encode(self._status)])
            try:
                async with asyncio.timeout(REPORT_EVERY_S):
                    await changed.wait()
            except TimeoutError:
                continue
        await call.stream([msgspec.json.encode(self._status)])
        return request


def _after_began(send: Send) -> Send:
    """Say first that the answer begins."""
    first = [msgspec.json.encode(Began())]

    async def take(chunks: Sequence[bytes]) -> None:
        began, first[:] = first[:], []
        await send([*began, *chunks])

    return take


async def seven(request: CountPrompt, call: Call) -> PromptCount:
    """Every prompt has seven tokens."""
    return PromptCount(prompt_tokens=7, model=request.model, exact=True)


async def echo(request: ProcessRequest, call: Call) -> Processed:
    """Three chunks, or a completion, that name the request they belong to."""
    stamp = {"id": request.completion_id, "created": request.created, "model": request.public_model}
    processed = Processed(usage=Usage(2, 3), finish_reason="stop", model=request.public_model)
    if call.send is not None:
        for word in ("one", "two", "three"):
            chunk = {**stamp, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]}
            await call.send([msgspec.json.encode(chunk)])
        return processed
    message = {"role": "assistant", "content": "one two three"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    completion = msgspec.json.encode({**stamp, "object": "chat.completion", "choices": choices})
    return replace(processed, completion=msgspec.Raw(completion))
