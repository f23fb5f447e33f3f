"""Requests to models over HTTP: whole, streamed, broken off, and given up by the client."""

import asyncio
import json
import math
from typing import Any

import msgspec
import pytest
from yarl import URL

from hyperinfer.contracts.gateway import Head, Inferred, PublicModel, PublicModels, RateLimitInfo
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta
from hyperinfer.edge import events
from hyperinfer.edge.dialects.openai.passed_on import KINDS
from hyperinfer.edge.request import CACHE
from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ContextExceeded,
    Draining,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Unsupported,
)
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Serve

KEY = {"Authorization": "Bearer hi_key"}
HEAD = Head(worker="ab" * 32, rate_limit_info=RateLimitInfo(7, 10, 12, 1))
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def inferred(completion: bytes = b"null") -> Inferred:
    processed = Processed(usage=Usage(3, 2), finish_reason="stop", model="m", completion=msgspec.Raw(completion))
    return Inferred(processed=processed, head=HEAD)


def streaming(*batches: list[bytes], then: Exception | None = None) -> Any:
    async def answer(request: Any, meta: Meta, sink: Send | None) -> Inferred:
        assert sink is not None
        await sink([msgspec.json.encode(HEAD)])
        for batch in batches:
            await sink(batch)
        if then:
            raise then
        return inferred()

    return answer


async def test_a_whole_answer_is_passed_on_byte_for_byte(serve: Serve) -> None:
    completion = b'{"id":"chatcmpl-1",  "choices":[]}'
    gateway = FakeGateway(processInferenceRequest=always(inferred(completion)))
    client = await serve(gateway)
    sent = json.dumps(BODY).encode()
    async with client.post("/v1/chat/completions", data=sent, headers=KEY | {"X-Request-Id": "mine"}) as reply:
        assert reply.status == 200
        assert reply.content_type == "application/json"
        assert await reply.read() == completion
        assert reply.headers["x-request-id"] == "mine"
        assert reply.headers["x-hyperinfer-worker"] == "abababababab"
        assert reply.headers["x-ratelimit-limit-requests"] == "10"
        assert reply.headers["x-ratelimit-remaining-requests"] == "7"
        assert reply.headers["x-ratelimit-reset-requests"] == "12s"
    [(_, request, meta)] = gateway.calls
    assert bytes(request.body) == sent
    assert meta == Meta(key="hi_key", request_id="mine", remote="127.0.0.1")


@pytest.mark.parametrize(("path", "kind"), KINDS.items())
@pytest.mark.parametrize(("headers", "cache"), [({}, None), ({CACHE: "on"}, True), ({CACHE: "off"}, False)])
async def test_each_route_asks_for_its_kind(
    serve: Serve, path: str, kind: str, headers: dict[str, str], cache: bool | None
) -> None:
    gateway = FakeGateway(processInferenceRequest=always(inferred(b"{}")))
    client = await serve(gateway)
    async with client.post(path, json={"model": "m", "unknown": 1}, headers=KEY | headers) as reply:
        assert (reply.status, await reply.read()) == (200, b"{}")
    [(_, request, _)] = gateway.calls
    assert (request.kind, request.cache) == (kind, cache)


@pytest.mark.parametrize("value", ["", "ON", "true", "on, off"])
async def test_a_word_about_the_cache_that_means_nothing_is_refused(serve: Serve, value: str) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)
    async with client.post("/v1/embeddings", json={"input": "x"}, headers=KEY | {CACHE: value}) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["param"] == CACHE
    assert gateway.calls == []


async def test_embeddings_are_not_streamed(serve: Serve) -> None:
    gateway = FakeGateway(processInferenceRequest=always(inferred(b"{}")))
    client = await serve(gateway)
    body = {"input": "x", "stream": True}
    async with client.post("/v1/embeddings", json=body, headers=KEY) as reply:
        assert reply.status == 400
        error = (await reply.json())["error"]
    assert (error["param"], error["code"]) == ("stream", "unsupported_parameter")
    assert gateway.calls == []
    async with client.post("/v1/embeddings", json=body | {"stream": False}, headers=KEY) as reply:
        assert reply.status == 200


async def test_a_streamed_answer_is_passed_on_as_events(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=streaming([b'{"a":1}', b'{"b":2}'], [b'{"c":3}'])))
    async with client.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=KEY) as reply:
        assert reply.status == 200
        assert reply.content_type == "text/event-stream"
        assert reply.headers["x-hyperinfer-worker"] == "abababababab"
        assert await reply.text() == 'data: {"a":1}\n\ndata: {"b":2}\n\ndata: {"c":3}\n\ndata: [DONE]\n\n'


async def test_a_stream_that_breaks_off_ends_with_an_error_and_without_its_end_mark(serve: Serve) -> None:
    broken = streaming([b'{"a":1}'], then=BackendFailed("The model broke off."))
    client = await serve(FakeGateway(processInferenceRequest=broken))
    async with client.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=KEY) as reply:
        events = (await reply.text()).split("\n\n")
    assert json.loads(events[1].removeprefix("data: "))["error"]["message"] == "The model broke off."
    assert "[DONE]" not in "".join(events)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (ModelNotFound("No such model."), 404, "model_not_found", {}),
        (BadRequest("No.", param="temperature"), 400, None, {}),
        (Unsupported("No tools.", param="tools"), 400, "unsupported_parameter", {}),
        (ContextExceeded("Too long.", param="messages"), 400, "context_length_exceeded", {}),
        (Overloaded("Full.", retry_after_s=0.2), 503, "overloaded", {"retry-after": "1", "retry-after-ms": "200"}),
        (Overloaded("Full.", retry_after_s=-5), 503, "overloaded", {"retry-after": "1", "retry-after-ms": "1"}),
        (Overloaded("Full.", retry_after_s=1e300), 503, "overloaded", {"retry-after": "2678400"}),
        (Overloaded("Full.", retry_after_s=math.inf), 503, "overloaded", {}),
        (Draining("Stopping."), 503, "unavailable", {}),
        (
            RateLimited("Enough.", retry_after_s=11.2, max_requests=10, remaining_requests=0, next_reset_in_seconds=12),
            429,
            "rate_limit_exceeded",
            {"retry-after": "12", "retry-after-ms": "11200", "x-ratelimit-remaining-requests": "0"},
        ),
    ],
)
async def test_a_refusal_has_its_status_also_where_a_stream_was_asked_for(
    serve: Serve, stream: bool, error: Exception, status: int, code: str | None, headers: dict[str, str]
) -> None:
    client = await serve(FakeGateway(processInferenceRequest=always(error)))
    async with client.post("/v1/chat/completions", json=BODY | {"stream": stream}, headers=KEY) as reply:
        assert reply.status == status
        body = (await reply.json())["error"]
        assert body["message"] == str(error)
        assert (body["code"], body["param"]) == (code, getattr(error, "details", {}).get("param"))
        assert headers.items() <= {name.lower(): value for name, value in reply.headers.items()}.items()
        assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_cancels_the_call(serve: Serve, stream: bool) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(request: Any, meta: Meta, sink: Send | None) -> Inferred:
        try:
            if sink:
                await sink([msgspec.json.encode(HEAD), b'{"a":1}'])
            began.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return inferred()

    client = await serve(FakeGateway(processInferenceRequest=answer))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        asking = group.create_task(_ask_and_wait(client, BODY | {"stream": stream}))
        await began.wait()
        asking.cancel()
        await cancelled.wait()


async def _ask_and_wait(client: Any, body: dict[str, Any]) -> None:
    async with client.post("/v1/chat/completions", json=body, headers=KEY) as reply:
        await reply.read()


async def test_a_reader_that_stalls_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STALL_S", 0.1)
    monkeypatch.setattr(events, "LOOK_EVERY_S", 0.05)
    ended = asyncio.Event()
    chunk = b'{"a":"' + b"x" * 100_000 + b'"}'

    async def answer(request: Any, meta: Meta, sink: Send | None) -> Inferred:
        assert sink is not None
        try:
            await sink([msgspec.json.encode(HEAD)])
            while True:
                await sink([chunk])
        finally:
            ended.set()

    client = await serve(FakeGateway(processInferenceRequest=answer))
    async with asyncio.timeout(10), client.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=KEY):
        await ended.wait()


def public(*names: str) -> PublicModels:
    rows = [PublicModel(id=name, created=1, workers=1, slots=1, busy=0, context_tokens=1) for name in names]
    return PublicModels(models=tuple(rows))


async def test_models_are_listed_and_found_by_name(serve: Serve) -> None:
    client = await serve(FakeGateway(listModels=always(public("a", "o/b"))))
    async with client.get("/v1/models", headers=KEY) as reply:
        body = await reply.json()
    assert body["object"] == "list"
    assert body["data"][1] == {"id": "o/b", "object": "model", "created": 1, "owned_by": "hyperinfer"}
    async with client.get("/v1/models/o/b", headers=KEY) as reply:
        assert (await reply.json())["id"] == "o/b"
    async with client.get("/v1/models/c", headers=KEY) as reply:
        assert reply.status == 404
        assert (await reply.json())["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("asked", "found"),
    [("QWEN3:8b", "qwen3:8b"), ("qwen3", "qwen3:latest"), ("Org/Model", "org/model"), ("org%2Fmodel", "org/model")],
)
async def test_a_model_is_found_by_the_names_by_which_requests_find_it(serve: Serve, asked: str, found: str) -> None:
    client = await serve(FakeGateway(listModels=always(public("qwen3:8b", "qwen3:latest", "org/model"))))
    async with client.get(URL(f"/v1/models/{asked}", encoded=True), headers=KEY) as reply:
        assert (reply.status, (await reply.json())["id"]) == (200, found)


async def test_a_model_that_is_nearly_there_is_named(serve: Serve) -> None:
    client = await serve(FakeGateway(listModels=always(public("qwen3:8b"))))
    async with client.get("/v1/models/qwen3:9b", headers=KEY) as reply:
        assert "Did you mean qwen3:8b?" in (await reply.json())["error"]["message"]
