"""What a collector is told of requests: over HTTP in, a gateway and its workers, all in one process."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts.inference import Processed, ProcessRequest, Usage
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.facilities.tracing import export
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.servers.otlp import Collector, Got, collecting

from .conftest import BODY, House, house

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
SERVER, CLIENT = 2, 3
CHAT = "POST /v1/chat/completions"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(export, "EVERY_S", 0.05)
    with collecting() as one:
        yield one


@asynccontextmanager
async def traced(
    home: Path, collector: Collector, *inferences: FakeInference, tracing: Any = None, **settings: Any
) -> AsyncIterator[House]:
    """A house whose workers all tell the collector."""
    (home / "config").mkdir()
    told = {"tracing": {"endpoint": collector.url, **(tracing or {})}}
    (home / "config" / "common.json").write_text(json.dumps(told))
    async with house(home, *inferences, **settings) as running:
        running.http.headers["traceparent"] = TRACEPARENT
        yield running


async def until(collector: Collector, count: int) -> list[Got]:
    """The spans of our trace, once there are so many."""
    return await asyncio.to_thread(collector.trace, TRACE, count)


def tree(spans: list[Got]) -> list[tuple[str, int, str]]:
    """Name, kind and the parent's name of each."""
    names = {span.span_id: span.name for span in spans} | {SPAN: "application"}
    return [(span.name, span.kind, names[span.parent_id]) for span in spans]


def fail_once(error: Exception, *inferences: FakeInference) -> None:
    """Have whoever is asked first fail."""
    left = [error]
    for inference in inferences:
        answer = inference.answer

        async def failing(request: ProcessRequest, call: Call, answer: Any = answer) -> Processed:
            if left:
                raise left.pop()
            done: Processed = await answer(request, call)
            return done

        inference.answer = failing


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request(tmp_path: Path, collector: Collector, stream: bool) -> None:
    async with traced(tmp_path, collector, FakeInference("m")) as running:
        async with running.http.post("/v1/chat/completions", json=BODY | {"stream": stream}) as reply:
            assert reply.status == 200
            await reply.read()
        spans = await until(collector, 3)
    assert tree(spans) == [
        (CHAT, SERVER, "application"),
        ("processRequest", CLIENT, CHAT),
        ("processRequest", SERVER, "processRequest"),
    ]
    http, attempt, server = spans
    assert http.attributes["http.request.method"] == "POST"
    assert http.attributes["http.route"] == "/v1/chat/completions"
    assert http.attributes["http.response.status_code"] == 200
    assert http.attributes["url.scheme"] == "http"
    assert attempt.attributes["rpc.system.name"] == "hyperswarm"
    assert attempt.attributes["rpc.method"] == "processRequest"
    assert attempt.attributes["hyperinfer.attempt"] == 1
    assert attempt.attributes["hyperinfer.resumed"] is False
    assert attempt.attributes["hyperinfer.model"] == "m"
    assert (http.service, server.service) == ("hyperinfer-gateway", "hyperinfer-inference")
    assert attempt.attributes["hyperinfer.peer"] == server.instance
    assert not any(span.failed for span in spans)


async def test_a_retry(tmp_path: Path, collector: Collector) -> None:
    inferences = FakeInference("m"), FakeInference("m")
    fail_once(BackendFailed("It broke."), *inferences)
    async with traced(tmp_path, collector, *inferences) as running:
        status, _ = await running.chat()
        assert status == 200
        spans = await until(collector, 5)
    first, second = (span for span in spans if span.kind == CLIENT)
    assert first.failed
    assert first.attributes["error.type"] == BackendFailed.code
    assert (first.attributes["hyperinfer.attempt"], second.attributes["hyperinfer.attempt"]) == (1, 2)
    assert not second.failed
    assert first.attributes["hyperinfer.peer"] != second.attributes["hyperinfer.peer"]
    assert not spans[0].failed


async def test_an_answer_that_is_gone_on_with(tmp_path: Path, collector: Collector) -> None:
    async def answer(request: ProcessRequest, call: Call) -> Processed:
        assert call.send
        word = {"index": 0, "delta": {"content": "word"}, "finish_reason": None}
        await call.send([json.dumps({"choices": [word]}).encode()])
        if request.continues is None:
            raise BackendFailed("It broke off.")
        return Processed(usage=Usage(1, 2), finish_reason="stop", model="m")

    inferences = FakeInference("m"), FakeInference("m")
    for inference in inferences:
        inference.report(capabilities=("chat", "continues"))
        inference.answer = answer
    async with traced(tmp_path, collector, *inferences) as running:
        await running.stream()
        spans = await until(collector, 5)
    assert [span.attributes["hyperinfer.resumed"] for span in spans if span.kind == CLIENT] == [False, True]


async def test_a_failure_is_ours_or_the_clients(tmp_path: Path, collector: Collector) -> None:
    inference = FakeInference("m")
    async with traced(tmp_path, collector, inference, retries=0) as running:
        fail_once(BackendFailed("It broke."), inference)
        status, _ = await running.chat()
        assert status >= 500
        fail_once(BadRequest("No."), inference)
        status, _ = await running.chat()
        assert status == 400
        spans = await until(collector, 6)
    found = [(span.attributes["error.type"], span.failed) for span in spans if span.name == CHAT]
    assert found == [(BackendFailed.code, True), (BadRequest.code, False)]


async def test_a_client_that_hangs_up(tmp_path: Path, collector: Collector) -> None:
    asked = asyncio.Event()

    async def answer(request: ProcessRequest, call: Call) -> Processed:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    inference = FakeInference("m")
    inference.answer = answer
    async with traced(tmp_path, collector, inference) as running:
        asking = asyncio.create_task(running.chat())
        await asked.wait()
        asking.cancel()
        spans = await until(collector, 3)
    assert [span.attributes["error.type"] for span in spans] == ["cancelled"] * 3
    assert not any(span.failed for span in spans)
    assert spans[0].attributes["http.response.status_code"] == 499


async def test_what_the_caller_does_not_record_is_not_recorded(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, inference := FakeInference("m")) as running:
        running.http.headers["traceparent"] = TRACEPARENT[:-1] + "0"
        await running.chat()
        running.http.headers["traceparent"] = f"00-{'1' * 32}-{SPAN}-01"
        await running.chat()
        await asyncio.to_thread(collector.trace, "1" * 32, 3)
        assert len(inference.requests) == 2
    assert TRACE not in {span.trace_id for span in collector.spans}


async def test_a_stranger_cannot_have_every_request_recorded(tmp_path: Path, collector: Collector) -> None:
    settings = {"ratio": 0.0, "asked_per_s": 0}
    async with traced(tmp_path, collector, FakeInference("m"), tracing=settings) as running:
        for _ in range(5):
            assert (await running.chat())[0] == 200
    assert not collector.spans


async def test_routes_and_not_what_clients_write(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, FakeInference("m")) as running:
        for verb, path in (
            ("GET", "/v1/models/geheim"),
            ("GET", "/geheim"),
            ("TRACE", "/v1/models"),
            ("GET", "/healthz"),
        ):
            async with running.http.request(verb, path, headers={"user-agent": "geheim"}) as reply:
                await reply.read()
        spans = await until(collector, 4)
        async with running.http.get("/metrics") as reply:
            metrics = await reply.text()
    assert sorted(span.name for span in spans if span.kind == SERVER) == [
        "GET",
        "GET /healthz",
        "GET /v1/models/{id:path}",
        "_OTHER /v1/models",
    ]
    assert b"geheim" not in b"".join(collector.bodies)
    labels = 'method="GET",route="none",service="gateway",status="404"'
    assert f"ai_platform_http_requests_total{{{labels}}} 1.0" in metrics
    assert (
        'ai_platform_http_request_duration_seconds_count{route="/v1/models/{id:path}",service="gateway"} 1.0' in metrics
    )


async def test_conversations_on_a_socket_are_traced_each_by_itself(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, FakeInference("m")) as running, running.http.ws_connect("/ws") as socket:
        for number in ("1", "2"):
            start = {"type": "start", "id": number, "request": BODY}
            await socket.send_json(start)
        done = 0
        while done < 2:
            said = json.loads((await socket.receive(timeout=10)).data)
            assert said["type"] != "error", said
            done += said["type"] == "done"
        await asyncio.to_thread(
            collector.until, lambda spans: sum(one.name == "processInferenceRequest" for one in spans) == 2
        )
        async with running.http.get("/metrics") as reply:
            assert 'ai_platform_http_websockets{service="gateway"} 1.0' in await reply.text()
    tops = [span for span in collector.spans if span.name == "processInferenceRequest"]
    assert {span.parent_id for span in tops} == {""}
    assert len({span.trace_id for span in tops} - {TRACE}) == 2


async def test_nothing_of_what_people_say_is_told(tmp_path: Path, collector: Collector) -> None:
    inference = FakeInference("m")
    async with traced(tmp_path, collector, inference) as running:
        said: dict[str, Any] = {
            "messages": [{"role": "user", "content": "geheim"}],
            "user": "geheim",
            "stop": ["geheim"],
            "prompt_cache_key": "geheim",
            "metadata": {"a": "geheim"},
        }
        headers = {"x-request-id": "geheim", "cookie": "geheim", "tracestate": "a=geheim", "baggage": "a=geheim"}
        async with running.http.post("/v1/chat/completions?geheim", json=BODY | said, headers=headers) as reply:
            await reply.read()
        for model in ("geheim", "m"):
            await running.chat(model=model, key="hi_geheim12_geheim")
            await running.chat(model=model, messages="geheim")
        await running.chat(model="geheim")
        spans = await until(collector, 3)
    assert spans
    everything = b"".join(collector.bodies)
    assert b"geheim" not in everything
    assert b'"ada' not in everything  # ids have such letters too
    assert running.key.encode() not in everything


async def test_a_collector_that_hangs_holds_up_nobody(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FAREWELL_S", 0.1)
    collector.goes_on.clear()
    async with traced(tmp_path, collector, FakeInference("m")) as running:
        async with asyncio.timeout(20):
            assert (await running.chat())[0] == 200
            await asyncio.to_thread(collector.until_asked, 1)
            for _ in range(20):
                assert (await running.chat())[0] == 200
    assert not collector.spans


async def test_the_end_of_the_house_is_told_too(tmp_path: Path, collector: Collector) -> None:
    async with (
        traced(tmp_path, collector, FakeInference("m")) as running,
        aiohttp.ClientSession(running.url) as http,
        http.get("/healthz", headers={"traceparent": TRACEPARENT}) as reply,
    ):
        assert reply.status == 200
    assert [span.name for span in collector.spans if span.trace_id == TRACE] == ["GET /healthz"]
