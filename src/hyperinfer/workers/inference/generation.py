"""Having a request generated: each of its answers in a slot of its own, watched for silence, all of them merged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from msgspec.structs import replace

from hyperinfer.contracts.inference import Began, Continued
from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, CompletionUsage, Delta
from hyperinfer.errors import BackendFailed
from hyperinfer.facilities.tasks import unwrapped
from hyperinfer.workers.inference import spans
from hyperinfer.workers.inference.answers import Answer
from hyperinfer.workers.inference.backends import Emit, End, Job
from hyperinfer.workers.inference.models import Model
from hyperinfer.workers.inference.requests.split import Generating, indexes
from hyperinfer.workers.inference.times import Times

TakeSlot = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a backend may say nothing, in seconds: before its first piece, and between two."""

    first_s: float
    stall_s: float


class Generation:
    """One request under way at a model. `emit` is where its pieces go, in the end to `answer`."""

    def __init__(
        self, model: Model, answer: Answer, times: Times, *, emit: Emit, take_slot: TakeSlot, patience: Patience
    ) -> None:
        self._model = model
        self._answer = answer
        self._times = times
        self._emit = emit
        self._take_slot = take_slot
        self._patience = patience

    async def run(self, jobs: Sequence[Generating]) -> End:
        """Have the jobs done, and say how the answers ended. Raises what the backend and the slots raise."""
        if len(jobs) == 1:
            return await self._one(0, jobs[0], self._emit)
        return await self._several(jobs)

    async def go_on(self, job: Generating, continued: Continued) -> End:
        """Have the rest of an answer generated, and say how the whole of it ended. Of one that is as long as it may be
        there is no rest; it is only counted."""
        limit = job.request.limit_tokens
        full = limit is not None and continued.tokens >= limit
        if full:
            job = job.limited(1)
        elif limit is not None:
            job = job.limited(limit - continued.tokens)
        end = await self._one(0, job, _nowhere if full else self._emit)
        known = end.continued_tokens
        # What its asker wants it to begin with is none of the answer's tokens, but of the prompt's.
        before = continued.tokens if known is None or not continued.tokens else known
        prompt_tokens = end.usage.prompt_tokens - before
        said = continued.tokens + (0 if full else end.usage.completion_tokens)
        return End(
            finish_reasons=("length",) if full else end.finish_reasons,
            usage=CompletionUsage.of(max(0, prompt_tokens), said),
            stopped_by="" if full else end.stopped_by,
        )

    async def _several(self, jobs: Sequence[Generating]) -> End:
        """At most so many at once as the model has slots: what waits for its turn here takes no place in the queue."""
        ends: dict[int, End] = {}
        left = indexes(jobs)

        async def work() -> None:
            for at, job in left:
                ends[at] = await self._one(at, job, self._shifted(at))

        with unwrapped():
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(jobs), self._model.offered.slots)):
                    group.create_task(work())
        return _merged(jobs, [end for _, end in sorted(ends.items())])

    async def _one(self, at: int, job: Generating, emit: Emit) -> End:
        async with self._take_slot():
            self._times.begin()
            began = self._answer.began
            self._answer.began = Began(queued_s=round(self._times.waited_s, 6), cache=began.cache)
            request = job.request
            if isinstance(request, CompletionRequest) and request.echo and isinstance(request.prompt, str):
                emit = _after(ChunkChoice(Delta(content=request.prompt)), emit)
            async with self._watched(emit) as take:
                return await self._at_backend(job, take)

    async def _at_backend(self, job: Generating, emit: Emit) -> End:
        request, backend, name = job.request, self._model.backend, self._model.name
        with spans.at_backend(spans.operation_of(request), name) as span:
            if span is not None:
                spans.tell_asked(span, request, model=name, backend=backend.name)
                emit = spans.timing_first(span, emit)
            if isinstance(request, ChatRequest):
                end = await backend.chat(cast(Job[ChatRequest], job), emit)
            else:
                end = await backend.complete(cast(Job[CompletionRequest], job), emit)
            if span is not None:
                spans.tell_end(span, end, model=name)
            return end

    @asynccontextmanager
    async def _watched(self, emit: Emit) -> AsyncIterator[Emit]:
        """Where a backend says its pieces. Raises `BackendFailed` once it has been silent for too long; what the reader
        of the answer takes its time for does not count."""
        patience, loop = self._patience, asyncio.get_running_loop()
        allowed_s = patience.first_s
        try:
            async with asyncio.timeout(allowed_s) as silence:

                async def take(pieces: Sequence[ChunkChoice]) -> None:
                    nonlocal allowed_s
                    self._times.token()
                    silence.reschedule(None)
                    await emit(pieces)
                    allowed_s = patience.stall_s
                    silence.reschedule(loop.time() + allowed_s)

                yield take
        except TimeoutError as error:
            raise BackendFailed(f"The model said nothing for {allowed_s:g} s.") from error

    def _shifted(self, at: int) -> Emit:
        """Takes the pieces of answers from this index on."""
        if at == 0:
            return self._emit

        async def take(pieces: Sequence[ChunkChoice]) -> None:
            await self._emit([replace(piece, index=piece.index + at) for piece in pieces])

        return take


async def _nowhere(pieces: Sequence[ChunkChoice]) -> None:
    """Take what nobody is told."""


def _after(lead: ChunkChoice, emit: Emit) -> Emit:
    """Say this before everything else."""
    leads = [lead]

    async def take(pieces: Sequence[ChunkChoice]) -> None:
        await emit([*leads, *pieces])
        leads.clear()

    return take


def _merged(jobs: Sequence[Generating], ends: Sequence[End]) -> End:
    """How all of them ended. The answers of one prompt share it: it is counted once."""
    prompts = {
        getattr(job.request, "prompt", None): end.usage.prompt_tokens for job, end in zip(jobs, ends, strict=True)
    }
    return End(
        finish_reasons=tuple(reason for end in ends for reason in end.finish_reasons),
        usage=CompletionUsage.of(sum(prompts.values()), sum(end.usage.completion_tokens for end in ends)),
    )
