"""The service: which model answers, what is counted, what it reports, and how it drains."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import (
    Continued,
    CountPrompt,
    ProcessRequest,
    PromptCount,
    Usage,
    WorkerStatus,
)
from hyperinfer.contracts.method import NO_META
from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, Delta, EmbeddingRequest
from hyperinfer.errors import BackendFailed, BadRequest, HyperinferError, ModelNotFound, Overloaded, Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference.backends import (
    CHAT,
    COMPLETION,
    CONTINUES,
    EMBEDDING,
    REASONING,
    BackendModel,
    Embedded,
    Emit,
    End,
    Job,
)
from hyperinfer.workers.inference.cache import in_memory
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import MAX_COUNTING, InferenceService


class Scripted:
    """A backend whose answers wait for the test."""

    name = "scripted"
    away = ""

    def __init__(self, *models: BackendModel) -> None:
        self.catalogue = models
        self.asked: list[tuple[str, ChatRequest]] = []
        self.jobs: list[Job[Any]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fault: HyperinferError | None = None
        self.prompt_tokens: int | None = None
        self.continued_tokens: int | None = None

    def models(self) -> Sequence[BackendModel]:
        return self.catalogue

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        self.asked.append((job.model, job.request))
        return await self._answer(job, emit)

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        return await self._answer(job, emit)

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        await self.go_on.wait()
        return Embedded((b"\0\0\0\0",), 4)

    async def count(self, job: Job[ChatRequest]) -> int | None:
        await self.go_on.wait()
        return self.prompt_tokens

    async def load(self, model: str) -> None:
        self.catalogue = tuple(replace(one, state="ready") for one in self.catalogue)

    async def unload(self, model: str) -> None:
        self.catalogue = tuple(replace(one, state="idle") for one in self.catalogue)

    async def _answer(self, job: Job[Any], emit: Emit) -> End:
        self.jobs.append(job)
        await emit([ChunkChoice(Delta(content="one")), ChunkChoice(Delta(content=" two"))])
        await self.go_on.wait()
        if self.fault:
            raise self.fault
        ended = End.of("stop", 3, 2)
        return replace(ended, continued_tokens=self.continued_tokens) if job.so_far else ended


def offered(name: str, state: Any = "ready", slots: int = 1, reason: str = "", **more: Any) -> BackendModel:
    return BackendModel(name=name, state=state, slots=slots, context_tokens=128, reason=reason, **more)


class House:
    def __init__(self, *backends: Scripted, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        given, clock = InferenceSettings(**settings), SystemClock()
        self.service = InferenceService(
            given,
            clock=clock,
            meters=Meters(self.registry, clock),
            cache=in_memory(given.cache, clock=clock, registry=self.registry),
        )
        for backend in backends:
            self.service.add(backend)

    async def ask(self, send: Send | None = None, **fields: Any) -> Any:
        fields = fields or {"prompt": "Hi."}
        return await self.service.process(ProcessRequest(**fields), call(send))

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"ai_platform_{name}", labels) or 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator["asyncio.Queue[WorkerStatus]"]:
        reports: asyncio.Queue[WorkerStatus] = asyncio.Queue(maxsize=100)

        async def take(chunks: Sequence[bytes]) -> None:
            reports.put_nowait(msgspec.json.decode(chunks[-1], type=WorkerStatus))

        async with background(self.service.watch(take), name="watch"), asyncio.timeout(10):
            yield reports


def call(send: Send | None = None) -> Call:
    return Call(caller=b"", roles=frozenset({"gateway"}), meta=NO_META, deadline=float("inf"), send=send)


async def test_a_request_without_a_model_goes_to_the_default_one() -> None:
    backend = Scripted(offered("a"), offered("b"))
    house = House(backend)
    assert (await house.ask()).model == "a"
    assert (await House(backend, default_model="b").ask()).model == "b"
    assert (await house.ask(model="b", prompt="x", public_model="public")).model == "public"
    assert [model for model, _ in backend.asked] == ["a", "b", "b"]


async def test_a_prompt_is_answered_in_words() -> None:
    processed = await House(Scripted(offered("a"))).ask(prompt="Hi.")
    assert processed.response == "one two"
    assert (processed.usage.prompt_tokens, processed.usage.completion_tokens) == (3, 2)


async def test_of_two_models_of_one_name_the_first_backend_s_answers() -> None:
    first, second = Scripted(offered("a")), Scripted(offered("a"), offered("b"))
    house = House(first, second)
    await house.ask(model="a", prompt="x")
    assert (len(first.asked), len(second.asked)) == (1, 0)
    assert [model.name for model in house.service.status().models] == ["a", "b"]


async def test_a_backend_that_is_away_hides_nobody_elses_model() -> None:
    first, second = Scripted(offered("a", "away")), Scripted(offered("a"))
    house = House(first, second)
    await house.ask(model="a", prompt="x")
    assert (len(first.asked), len(second.asked)) == (0, 1)
    first.catalogue = (offered("a"),)
    house.service.refresh()
    await house.ask(model="a", prompt="x")
    assert (len(first.asked), len(second.asked)) == (1, 1)


async def test_models_that_are_not_there_or_away_are_refused() -> None:
    house = House(Scripted(offered("a", "away", reason="It fell over.")))
    with pytest.raises(ModelNotFound, match="'z'"):
        await house.ask(model="z", prompt="x")
    with pytest.raises(Unavailable, match="cannot run a now") as refused:
        await house.ask(model="a", prompt="x")
    assert refused.value.details["retry_after_s"]
    with pytest.raises(ModelNotFound):
        house.service.model_status("z")
    assert house.service.model_status("a").state == "away"
    assert house.service.not_ready() == ["It fell over."]
    assert House().service.not_ready() == ["This worker has no model."]


async def test_only_what_has_been_answered_is_measured() -> None:
    backend = Scripted(offered("a"))
    house = House(backend)
    await house.ask()
    backend.fault = BackendFailed("It broke.")
    with pytest.raises(BackendFailed):
        await house.ask()
    with pytest.raises(BadRequest):
        await house.ask(body=msgspec.Raw(b"{}"))
    backend.go_on.clear()
    leaving = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert house.count("request_duration_seconds_count", service="inference", model="a") == 1
    assert house.count("inference_tokens_total", model="a", kind="completion") == 2
    assert house.count("inference_first_token_seconds_count", model="a") == 1
    assert house.count("inference_slots", model="a") == 1
    assert house.count("inference_slots_busy", model="a") == 0
    model = house.service.model_status("a")
    assert (model.served, model.errors, model.busy, model.queued) == (1, 1, 0, 0)


async def test_status_is_reported_at_once_on_change_and_every_second() -> None:
    backend = Scripted(offered("a"))
    house = House(backend)
    backend.go_on.clear()
    async with house.watched() as reports, asyncio.TaskGroup() as group:
        assert (await reports.get()).models[0].busy == 0
        group.create_task(house.ask())
        while (await reports.get()).models[0].busy != 1:
            pass
        backend.catalogue = (offered("a"), offered("b", "loading"))
        house.service.refresh()
        while len((report := await reports.get()).models) != 2:
            pass
        assert report.models[1].state == "loading"
        assert await reports.get() == report, "nothing has changed: this is the one of the second"
        backend.go_on.set()


async def test_many_changes_are_few_reports() -> None:
    house = House(Scripted(offered("a", slots=4)))
    async with house.watched() as reports:
        await reports.get()
        for _ in range(200):
            await house.ask()
        while (await reports.get()).models[0].served != 200:
            pass
        assert reports.qsize() < 5


async def test_a_draining_worker_says_so_and_is_watched_until_its_last_request() -> None:
    backend = Scripted(offered("a"))
    house = House(backend)
    backend.go_on.clear()
    reports: list[WorkerStatus] = []
    told = asyncio.Event()

    async def take(chunks: Sequence[bytes]) -> None:
        reports.append(msgspec.json.decode(chunks[-1], type=WorkerStatus))
        if reports[-1].draining:
            told.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(house.service.watch(take))
        group.create_task(house.ask())
        await asyncio.sleep(0)
        house.service.drain()
        await told.wait()
        assert not watching.done()
        backend.go_on.set()
    assert reports[-1].models[0].busy == 0


async def test_what_was_answered_is_answered_again_from_the_cache() -> None:
    backend = Scripted(offered("a", capabilities=(CHAT, EMBEDDING)))
    house = House(backend)
    body = msgspec.Raw(
        b'{"messages":[{"role":"user","content":"Hi."}],"temperature":0,"stream_options":{"include_usage":true}}'
    )
    asked: dict[str, Any] = {"body": body, "fair_key": "ada", "cache": True}
    first = await house.ask(**asked)
    again = await house.ask(**asked, completion_id="other")
    assert (first.cache, again.cache) == ("miss", "hit")
    assert again.usage == first.usage
    assert b'"other"' in bytes(again.completion)
    assert b"one two" in bytes(again.completion)
    chunks: list[bytes] = []

    async def send(some: Sequence[bytes]) -> None:
        chunks.extend(some)

    assert (await house.ask(send, **asked)).cache == "hit"
    began, *rest = [msgspec.json.decode(chunk) for chunk in chunks]
    assert began == {"queuedS": 0.0, "cache": "hit"}
    assert "".join(choice["delta"].get("content", "") for chunk in rest for choice in chunk["choices"]) == "one two"
    assert rest[-1]["usage"]["completion_tokens"] == 2
    assert (await house.ask(**{**asked, "fair_key": "bob"})).cache == "miss", "users are kept apart"
    assert (await house.ask(**{**asked, "cache": None})).cache == ""
    assert len(backend.jobs) == 3
    assert house.service.model_status("a").served == 3
    texts: dict[str, Any] = {
        "body": msgspec.Raw(b'{"input":"x"}'),
        "kind": "embedding",
        "fair_key": "ada",
        "cache": True,
    }
    assert [(await house.ask(**texts)).cache for _ in range(2)] == ["miss", "hit"]


async def test_a_failed_answer_is_not_kept() -> None:
    backend = Scripted(offered("a"))
    house = House(backend)
    body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"seed":1}')
    backend.fault = BackendFailed("It broke.")
    with pytest.raises(BackendFailed):
        await house.ask(body=body, fair_key="ada", cache=True)
    backend.fault = None
    assert (await house.ask(body=body, fair_key="ada", cache=True)).cache == "miss"


async def test_several_answers_take_turns_in_the_slots_and_are_one() -> None:
    backend = Scripted(offered("a", slots=2, capabilities=(CHAT, COMPLETION)))
    house = House(backend)
    body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"n":5,"seed":3}')
    processed = await house.ask(body=body)
    completion = msgspec.json.decode(processed.completion)
    assert [choice["index"] for choice in completion["choices"]] == [0, 1, 2, 3, 4]
    assert {choice["message"]["content"] for choice in completion["choices"]} == {"one two"}
    assert completion["usage"] == {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}
    assert sorted(job.request.seed for job in backend.jobs) == [3, 4, 5, 6, 7]
    texts = msgspec.Raw(b'{"prompt":["x","y"],"n":2,"echo":true}')
    completion = msgspec.json.decode((await house.ask(body=texts, kind="completion")).completion)
    assert [choice["text"] for choice in completion["choices"]] == ["xone two", "xone two", "yone two", "yone two"]
    assert completion["usage"]["prompt_tokens"] == 6


async def test_a_cut_answer_is_gone_on_with_and_counted_whole() -> None:
    backend = Scripted(offered("a", capabilities=(CHAT, CONTINUES)))
    house = House(backend)
    body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"max_tokens":9}')
    chunks: list[bytes] = []

    async def send(some: Sequence[bytes]) -> None:
        chunks.extend(some)

    processed = await house.ask(send, body=body, continues=Continued("so far", 4))
    [job] = backend.jobs
    assert (job.so_far, job.request.max_tokens) == ("so far", 5)
    assert processed.usage == Usage(prompt_tokens=0, completion_tokens=6)
    assert b'"role"' not in b"".join(chunks)
    processed = await house.ask(send, body=body, continues=Continued("so far", 9))
    assert (processed.finish_reason, processed.usage.completion_tokens) == ("length", 9)


async def test_how_an_answer_has_to_begin_is_of_its_prompt() -> None:
    backend = Scripted(offered("a", capabilities=(CHAT, CONTINUES)))
    backend.continued_tokens = 2
    body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"max_tokens":9}')
    house = House(backend)
    asked = await house.ask(body=body, continues=Continued("It begins", 0))
    [job] = backend.jobs
    assert (job.so_far, job.request.max_tokens) == ("It begins", 9)
    assert asked.usage == Usage(prompt_tokens=3, completion_tokens=2)
    gone_on = await house.ask(body=body, continues=Continued("It begins so", 1))
    assert gone_on.usage == Usage(prompt_tokens=1, completion_tokens=3), (
        "what was said by another worker is the answer's"
    )


@pytest.mark.parametrize(
    ("capabilities", "said", "told"),
    [
        ((CHAT, REASONING), b"", "high"),
        ((CHAT, REASONING), b',"reasoning_effort":"none"', "none"),
        ((CHAT,), b"", None),
    ],
)
async def test_how_much_to_think_is_told_to_models_that_can_be_told(
    capabilities: tuple[str, ...], said: bytes, told: str | None
) -> None:
    backend = Scripted(offered("a", capabilities=capabilities))
    body = msgspec.Raw(b'{"messages":[{"role":"user","content":"Hi."}],"x":1%b}' % said)
    await House(backend).ask(body=body, effort="high")
    [job] = backend.jobs
    assert job.request.reasoning_effort == told
    assert msgspec.json.decode(job.body).get("reasoning_effort") == told
    assert msgspec.json.decode(job.body)["x"] == 1


async def test_prompts_are_counted_by_the_model_or_about() -> None:
    backend = Scripted(offered("a"), offered("e", capabilities=(EMBEDDING,)))
    house = House(backend)
    asked = CountPrompt(body=msgspec.Raw(b'{"messages":[{"role":"user","content":"%b"}]}' % (b"1234" * 50)))
    about = await house.service.count(asked, call())
    assert (about.model, about.exact) == ("a", False)
    assert 50 < about.prompt_tokens < 60
    backend.prompt_tokens = 7
    assert await house.service.count(asked, call()) == PromptCount(prompt_tokens=7, model="a", exact=True)
    assert (house.service.model_status("a").served, house.count("requests_total", outcome="ok")) == (0, 0)
    for wrong in (CountPrompt(body=asked.body, model="e"), CountPrompt(body=msgspec.Raw(b"{}"))):
        with pytest.raises(BadRequest):
            await house.service.count(wrong, call())


async def test_only_so_many_prompts_are_counted_at_once() -> None:
    backend = Scripted(offered("a"))
    backend.go_on.clear()
    service = House(backend).service
    asked = CountPrompt(body=msgspec.Raw(b'{"messages":[{"role":"user","content":"x"}]}'))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        counting = [group.create_task(service.count(asked, call())) for _ in range(MAX_COUNTING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await service.count(asked, call())
        backend.go_on.set()
    assert all(task.result().prompt_tokens for task in counting)
    assert (await service.count(asked, call())).prompt_tokens


async def test_a_backend_that_falls_silent_has_failed() -> None:
    backend = Scripted(offered("a"))
    backend.go_on.clear()
    house = House(backend, stall_timeout_s=0.05)
    with pytest.raises(BackendFailed, match=r"nothing for 0\.05 s"):
        await house.ask()
    backend.catalogue = (offered("e", capabilities=(EMBEDDING,)),)
    house = House(backend, first_token_timeout_s=0.05)
    with pytest.raises(BackendFailed, match=r"nothing for 0\.05 s"):
        await house.ask(body=msgspec.Raw(b'{"input":"x"}'), kind="embedding", model="e")


async def test_models_are_loaded_and_unloaded() -> None:
    backend = Scripted(offered("a"))
    house = House(backend)
    assert (await house.service.unload("a")).state == "ready", "what the backend has is taken over when it says so"
    house.service.refresh()
    assert house.service.model_status("a").state == "idle"
    assert house.service.not_ready() == ()
    await house.service.load("a")
    house.service.refresh()
    assert house.service.model_status("a").state == "ready"
    with pytest.raises(ModelNotFound):
        await house.service.load("z")
