"""Ollama's routes over HTTP: what there is to be told, what is refused, and errors in Ollama's shape whatever fails."""

import json
from typing import Any

import msgspec
import pytest
from tests.unit.edge.conftest import Serve
from tests.unit.edge.samples import KEY

from hyperinfer import __version__
from hyperinfer.contracts.gateway import Head, Inferred, PublicModel, PublicModels, SwarmWorker, SwarmWorkers
from hyperinfer.contracts.inference import ModelStatus, Processed, Usage
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import BackendFailed, ModelNotFound, Overloaded, Unauthenticated, Unsupported
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway, always

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
HEAD = Head(worker="ab" * 32, model="m")
MODELS = PublicModels(
    models=(
        PublicModel("fast", 1_767_225_600, 1, 2, 0, 512, capabilities=("chat",), answered_by=("small", "large")),
        PublicModel("large", 1_767_225_600, 1, 2, 0, 8192, state="idle", capabilities=("chat", "tools", "reasoning")),
        PublicModel("minilm:latest", 1_767_225_600, 1, 2, 0, 512, capabilities=("embedding", "dimensions")),
        PublicModel(
            "small", 1_767_225_600, 2, 2, 0, 512, capabilities=("chat", "completion", "vision", "suffix", "logprobs")
        ),
    )
)
DETAILS = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
"""A real server's fields; it adds the lengths of context and embeddings where it lists models."""


def ready(name: str, *, state: str = "ready", memory_bytes: int = 0) -> ModelStatus:
    return ModelStatus(
        name=name, backend="b", state=state, slots=1, busy=0, queued=0, context_tokens=512, memory_bytes=memory_bytes
    )


WORKERS = SwarmWorkers(
    workers=(
        SwarmWorker("a", "a", "ready", 0, (ready("small", memory_bytes=10), ready("large", state="idle"))),
        SwarmWorker("b", "b", "ready", 0, (ready("small", memory_bytes=32),)),
        SwarmWorker("c", "c", "lost", 0, (ready("small", memory_bytes=64),)),
    )
)
TOLD = {"listModels": always(MODELS), "listWorkers": always(WORKERS)}


def inferred(completion: bytes = b"null") -> Inferred:
    processed = Processed(usage=Usage(3, 2), finish_reason="stop", model="m", completion=msgspec.Raw(completion))
    return Inferred(processed=processed, head=HEAD)


def streaming(*chunks: bytes, then: Exception | None = None) -> Any:
    async def answer(request: Any, meta: Meta, sink: Send | None) -> Inferred:
        assert sink is not None
        await sink([msgspec.json.encode(HEAD), *chunks])
        if then:
            raise then
        return inferred()

    return answer


SAID = b'{"choices":[{"index":0,"delta":{"content":"Hi."},"finish_reason":null}]}'
STOPPED = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


async def test_a_streamed_chat(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=streaming(SAID, STOPPED)))
    async with client.post("/api/chat", json=CHAT, headers=KEY) as reply:
        assert (reply.status, reply.content_type) == (200, "application/x-ndjson")
        assert reply.headers["x-hyperinfer-worker"] == "abababababab"
        lines = [json.loads(line) async for line in reply.content]
    assert [(line["message"]["content"], line["done"]) for line in lines] == [("Hi.", False), ("", True)]


async def test_a_whole_chat_and_a_request_that_does_not_say_that_it_is_json(serve: Serve) -> None:
    completion = b'{"choices":[{"index":0,"message":{"content":"Hi."},"finish_reason":"stop"}]}'
    client = await serve(FakeGateway(processInferenceRequest=always(inferred(completion))))
    body = json.dumps({**CHAT, "stream": False})
    async with client.post("/api/chat", data=body, headers=KEY | {"Content-Type": "text/plain"}) as reply:
        assert (reply.status, reply.content_type) == (200, "application/json")
        assert (await reply.json())["message"] == {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize("chunks", [(SAID,), (SAID, b'{"choices":3}')])
async def test_a_stream_that_breaks_off_ends_with_an_error(serve: Serve, chunks: tuple[bytes, ...]) -> None:
    broken = streaming(*chunks, then=BackendFailed("The model broke off."))
    client = await serve(FakeGateway(processInferenceRequest=broken))
    async with client.post("/api/chat", json=CHAT, headers=KEY) as reply:
        assert reply.status == 200
        *_, last = [json.loads(line) async for line in reply.content]
    assert last.keys() == {"error"}


async def test_an_answer_that_does_not_say_why_it_ends_has_failed(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=streaming(SAID)))
    async with client.post("/api/chat", json=CHAT, headers=KEY) as reply:
        *_, last = [json.loads(line) async for line in reply.content]
    assert last == {"error": "The worker's answer ended without a reason."}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ModelNotFound("There is: a.", model="m"), 404, "model 'm' not found: There is: a."),
        (Unsupported("tools: None.", param="tools"), 400, '"m" does not support tools: None.'),
        (Overloaded("Full.", retry_after_s=1), 503, "Full."),
        (Unauthenticated("No such key."), 401, "No such key."),
        (RuntimeError("secret"), 500, "This failed inside hyperinfer; the operator's log says why."),
    ],
)
async def test_a_refusal(serve: Serve, stream: bool, error: Exception, status: int, text: str) -> None:
    client = await serve(FakeGateway(processInferenceRequest=always(error)))
    async with client.post("/api/chat", json={**CHAT, "stream": stream}, headers=KEY) as reply:
        assert (reply.status, await reply.json()) == (status, {"error": text})


async def test_what_is_no_request_and_what_is_no_method(serve: Serve) -> None:
    client = await serve(FakeGateway())
    async with client.post("/api/chat", data=b"{bad", headers=KEY) as reply:
        assert reply.status == 400
        assert isinstance((await reply.json())["error"], str)
    async with client.get("/api/chat", headers=KEY) as reply:
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert isinstance((await reply.json())["error"], str)
    async with client.post("/api/generate", json={"model": "m"}) as reply:
        assert reply.status == 401
        assert isinstance((await reply.json())["error"], str)


async def test_giving_a_model_up_asks_none(serve: Serve) -> None:
    gateway = FakeGateway(**TOLD)
    client = await serve(gateway)
    body = {"model": "MINILM", "keep_alive": 0}
    async with client.post("/api/generate", json=body, headers=KEY) as reply:
        answer = await reply.json()
    assert (reply.status, answer["model"], answer["done_reason"]) == (200, "MINILM", "unload")
    async with client.post("/api/generate", json={**body, "model": "nope"}, headers=KEY) as reply:
        assert reply.status == 404
        assert (await reply.json())["error"] == "model 'nope' not found: No worker of this swarm has it."
    assert [name for name, _, _ in gateway.calls] == ["listModels"] * 2


async def test_models_are_listed(serve: Serve) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.get("/api/tags", headers=KEY) as reply:
        rows = {row["name"]: row for row in (await reply.json())["models"]}
    assert list(rows) == ["fast", "large", "minilm:latest", "small"]
    small = rows["small"]
    digest = small["digest"]
    assert len(digest) == 64
    assert small == {
        "digest": digest,
        "name": "small",
        "model": "small",
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 0,
        "details": {**DETAILS, "context_length": 512},
        "capabilities": ["completion", "vision", "insert"],
    }
    assert rows["large"]["capabilities"] == ["completion", "tools", "thinking"]
    assert rows["minilm:latest"]["capabilities"] == ["embedding"]
    assert rows["fast"]["digest"] == digest
    assert len({row["digest"] for row in rows.values()}) == 3


async def test_what_is_loaded(serve: Serve) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.get("/api/ps", headers=KEY) as reply:
        rows = {row["name"]: row for row in (await reply.json())["models"]}
    assert list(rows) == ["minilm:latest", "small"]
    assert rows["minilm:latest"]["size"] == 0
    small = rows["small"]
    assert small.keys() == {
        "name",
        "model",
        "size",
        "digest",
        "details",
        "expires_at",
        "size_vram",
        "context_length",
    }
    assert (small["size"], small["context_length"]) == (42, 512)


@pytest.mark.parametrize("body", [{"model": "large"}, {"name": "Large:latest", "verbose": True}])
async def test_one_model(serve: Serve, body: dict[str, Any]) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.post("/api/show", json=body, headers=KEY) as reply:
        shown = await reply.json()
    assert shown == {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": {**DETAILS, "context_length": 8192},
        "model_info": {
            "general.architecture": "hyperinfer",
            "general.basename": "large",
            "hyperinfer.context_length": 8192,
        },
        "capabilities": ["completion", "tools", "thinking"],
        "modified_at": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(("body", "status"), [({"model": "nope"}, 404), ({}, 400), ({"model": 3}, 400)])
async def test_no_model(serve: Serve, body: dict[str, Any], status: int) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.post("/api/show", json=body, headers=KEY) as reply:
        assert reply.status == status
        assert isinstance((await reply.json())["error"], str)


async def test_the_version_is_one_that_clients_can_compare(serve: Serve) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.get("/api/version", headers=KEY) as reply:
        version = (await reply.json())["version"]
    numbers, _, ours = version.partition("+")
    assert tuple(map(int, numbers.split("."))) >= (0, 6, 4)
    assert ours == f"hyperinfer.{__version__}"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", f"/api/blobs/sha256:{'0' * 64}"),
    ],
)
async def test_models_are_not_managed_here(serve: Serve, verb: str, path: str) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.request(verb, path, data=b'{"model": "m"}', headers=KEY) as reply:
        assert reply.status == 403
        assert "hyperinfer models pull" in (await reply.json())["error"]


@pytest.mark.parametrize("path", ["/api/pull", "/api/blobs/sha256:0", "/api/tags", "/api/chat"])
async def test_a_stranger_is_refused_in_ollamas_shape(serve: Serve, path: str) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.request("GET" if path == "/api/tags" else "POST", path) as reply:
        assert reply.status == 401
        assert isinstance((await reply.json())["error"], str)


async def test_looking_for_a_blob(serve: Serve) -> None:
    client = await serve(FakeGateway(**TOLD))
    async with client.head(f"/api/blobs/sha256:{'0' * 64}", headers=KEY) as reply:
        assert reply.status == 403


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_programs_find_that_it_is_running(serve: Serve, verb: str) -> None:
    client = await serve(FakeGateway())
    async with client.request(verb, "/") as reply:
        assert (reply.status, reply.content_type) == (200, "text/plain")
        assert await reply.text() == ("Ollama is running" if verb == "GET" else "")
    async with client.request(verb, "/", headers={"Accept": "text/html,*/*;q=0.8"}) as reply:
        assert reply.status == 404
