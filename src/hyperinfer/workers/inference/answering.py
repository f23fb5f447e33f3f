"""One request at the model that answers it: from the cache, or generated in its turn, and kept."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import msgspec

from hyperinfer.contracts.inference import Began, Processed, ProcessRequest, Usage
from hyperinfer.contracts.openai import CompletionUsage, EmbeddingRequest
from hyperinfer.errors import BackendFailed
from hyperinfer.kernel.calls import Send
from hyperinfer.workers.inference import requests, spans
from hyperinfer.workers.inference.answers import Answer, Stamp, StreamedAnswer, WholeAnswer, embeddings
from hyperinfer.workers.inference.backends import Embedded, End, Job
from hyperinfer.workers.inference.cache import ResponseCache, Said
from hyperinfer.workers.inference.generation import Generation, Patience
from hyperinfer.workers.inference.models import Model
from hyperinfer.workers.inference.requests import Request
from hyperinfer.workers.inference.times import Times


class Answering:
    """A request that a model can take. `deadline` is on the clock's monotonic scale."""

    def __init__(
        self,
        model: Model,
        request: ProcessRequest,
        read: Request,
        stamp: Stamp,
        times: Times,
        *,
        deadline: float,
        patience: Patience,
        cache: ResponseCache,
    ) -> None:
        self._model = model
        self._request = request
        self._read = read
        self._stamp = stamp
        self._times = times
        self._deadline = deadline
        self._patience = patience
        self._cache = cache
        self._key = cache.key(request, read, model.backend.name, model.offered)
        self._began = Began()

    async def run(self, send: Send | None) -> Processed:
        """Answer it, streamed if there is somewhere to send chunks to. Raises what the slots and the backend raise."""
        kept = None if self._key is None else await self._cache.get(self._key)
        self._began = Began(cache="" if self._key is None else "miss" if kept is None else "hit")
        asked = self._read.asked
        if isinstance(asked, EmbeddingRequest):
            embedded = kept if isinstance(kept, Embedded) else await self._embed(asked)
            completion = embeddings(self._stamp, asked, embedded)
            return self._processed(CompletionUsage.of(embedded.prompt_tokens, 0), "stop", completion)
        answer = self._answer(send)
        answer.began = self._began
        if isinstance(kept, Said):
            self._times.token()
            await answer.take(kept.pieces)
            end = kept.end
        else:
            end = await self._generate(answer)
        self._times.end()
        completion = await answer.end(end)
        self._began = answer.began
        processed = self._processed(end.usage, end.finish_reasons[0], completion)
        if isinstance(answer, WholeAnswer) and self._request.prompt is not None:
            return msgspec.structs.replace(processed, response=answer.text)
        return processed

    async def _generate(self, answer: Answer) -> End:
        """Have it generated, and keep it if it may be. Of an answer that is gone on with nothing is kept."""
        model, continues = self._model, self._request.continues
        recording = None if self._key is None else self._cache.recording(answer.take)
        generation = Generation(
            model,
            answer,
            self._times,
            emit=answer.take if recording is None else recording.take,
            take_slot=self._slot,
            patience=self._patience,
        )
        jobs = requests.split(self._read, model.name, model.offered.capabilities)
        if continues is not None:
            return await generation.go_on(replace(jobs[0], so_far=continues.text), continues)
        end = await generation.run(jobs)
        if self._key is not None and recording is not None:
            await self._cache.put(self._key, recording.said(end))
        return end

    async def _embed(self, asked: EmbeddingRequest) -> Embedded:
        allowed_s = self._patience.first_s
        async with self._slot():
            self._times.begin()
            self._began = Began(queued_s=round(self._times.waited_s, 6), cache=self._began.cache)
            try:
                async with asyncio.timeout(allowed_s):
                    embedded = await self._at_backend(asked)
            except TimeoutError as error:
                raise BackendFailed(f"The model said nothing for {allowed_s:g} s.") from error
        self._times.end()
        if self._key is not None:
            await self._cache.put(self._key, embedded)
        return embedded

    async def _at_backend(self, asked: EmbeddingRequest) -> Embedded:
        model = self._model
        with spans.at_backend(spans.operation_of(asked), model.name) as span:
            if span is not None:
                spans.tell_asked(span, asked, model=model.name, backend=model.backend.name)
            embedded = await model.backend.embed(Job(model.name, asked, self._read.body))
            if span is not None:
                spans.tell_embedded(span, embedded, model=model.name)
            return embedded

    def _slot(self) -> AbstractAsyncContextManager[object]:
        return self._model.slots.take(self._request.fair_key, priority=self._request.priority, deadline=self._deadline)

    def _answer(self, send: Send | None) -> Answer:
        if send is None:
            return WholeAnswer(self._stamp)
        asked = self._read.asked
        with_usage = not isinstance(asked, EmbeddingRequest) and asked.wants_usage
        return StreamedAnswer(self._stamp, send, with_usage=with_usage, continues=self._request.continues is not None)

    def _processed(self, usage: CompletionUsage, finish_reason: str, completion: msgspec.Raw) -> Processed:
        times = self._times
        return Processed(
            usage=Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens),
            finish_reason=finish_reason,
            model=self._stamp.model,
            completion=completion,
            queued_s=self._began.queued_s,
            first_token_s=round(times.first_token_s, 6),
            duration_s=round(times.duration_s, 6),
            cache=self._began.cache,
        )
