"""The service: which model answers, what is counted, what it reports, and how it drains."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import ProcessRequest, WorkerStatus
from hyperinfer.contracts.method import NO_META
from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, Delta, EmbeddingRequest
from hyperinfer.errors import BackendFailed, BadRequest, HyperinferError, ModelNotFound, Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.inference.backends import BackendModel, Embedded, Emit, End, Job
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService


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
        return End.of("stop", 3, 2)


def offered(name: str, state: Any = "ready", slots: int = 1, reason: str = "") -> BackendModel:
    return BackendModel(name=name, state=state, slots=slots, context_tokens=128, reason=reason)


class House:
    def __init__(self, *backends: Scripted, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        self.service = InferenceService(
            InferenceSettings(**settings), clock=SystemClock(), meters=Meters(self.registry)
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


async def test_outcomes_are_counted() -> None:
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
    for status in ("ok", "BACKEND_FAILED", "BAD_REQUEST", "cancelled"):
        labels = {"service": "inference", "method": "processRequest", "status": status}
        assert house.count("requests_total", **labels) == 1
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
