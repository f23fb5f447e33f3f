"""A swarm whose Ollama is another swarm: what speaks the API on the one side, and what reads it on the other, agree."""

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import ollama
import pytest
from tests.contract.product import MODELS as MODELS_OF_ALL
from tests.contract.product import Product, staged

from .conftest import MESSAGES, TEXT, headers

MODELS = {name: MODELS_OF_ALL[name] for name in ("echo", "eyes", "thinker", "brittle", "narrow", "endless")}
MODELS["fragile"] = MODELS["brittle"]


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The swarm that has the models: one of its own, since what keeps failing is left alone for a while."""
    with staged(tmp_path_factory.mktemp("back"), MODELS) as one:
        yield one


@pytest.fixture(scope="module")
def front(back: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The swarm in front of it, which has a key of it."""
    settings = {"enabled": True, "slots": 4, "url": back.url, "api_key": back.key}
    home = tmp_path_factory.mktemp("front")
    with staged(
        home, {}, llamacpp__enabled=False, **{f"ollama__{name}": value for name, value in settings.items()}
    ) as one:
        yield one


async def ask(front: Product, path: str, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await front.ask("POST", path, body)
    return answer


async def test_its_models_are_there_with_what_they_can_do(front: Product) -> None:
    models = {row["id"]: row for row in (await front.ask("GET", "/api/models"))["models"]}
    assert models.keys() == MODELS.keys()
    assert {"chat", "completion", "embedding", "tools", "logprobs"} <= set(models["echo"]["capabilities"])
    assert "vision" in models["eyes"]["capabilities"]
    assert "reasoning" in models["thinker"]["capabilities"]
    assert (models["echo"]["state"], models["echo"]["context_tokens"]) == ("ready", 8192)


async def test_a_chat_whole_and_streamed(front: Product) -> None:
    whole = await ask(front, "/v1/chat/completions", model="echo", messages=MESSAGES)
    [choice] = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (TEXT, "stop")
    assert whole["usage"]["total_tokens"] == 6
    body = {"model": "echo", "messages": MESSAGES, "stream": True, "max_tokens": 2}
    async with (
        aiohttp.ClientSession(front.url, headers=headers(front)) as http,
        http.post("/v1/chat/completions", json=body) as reply,
    ):
        events = [json.loads(line[6:]) async for line in reply.content if line.startswith(b"data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == "one two"
    assert events[-1]["choices"][0]["finish_reason"] == "length"


async def test_the_same_api_on_both_sides(front: Product) -> None:
    async with ollama.AsyncClient(host=front.url, headers=headers(front), timeout=20) as client:
        lines = [line async for line in await client.chat("echo", MESSAGES, stream=True)]
        assert "".join(line.message.content or "" for line in lines) == TEXT
        thought = await client.chat("thinker", MESSAGES, think=True)
        assert thought.message.thinking
        assert (await client.generate("echo", TEXT, raw=True)).response == TEXT
        vectors = await client.embed("echo", ["a", "b"], dimensions=8)
        assert [len(vector) for vector in vectors.embeddings] == [8, 8]


async def test_a_tool_is_called_through_both(front: Product) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    answer = await ask(front, "/v1/chat/completions", model="echo", messages=MESSAGES, tools=tools)
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert isinstance(json.loads(call["function"]["arguments"])["city"], str)


async def test_refusals_keep_their_meaning(front: Product) -> None:
    async with aiohttp.ClientSession(front.url, headers=headers(front)) as http:
        long = {"model": "narrow", "messages": [{"role": "user", "content": "x " * 20}]}
        async with http.post("/v1/chat/completions", json=long) as reply:
            assert (reply.status, (await reply.json())["error"]["code"]) == (400, "context_length_exceeded")
        broken = {"model": "brittle", "messages": MESSAGES, "stream": True}
        async with http.post("/v1/chat/completions", json=broken) as reply:
            text = await reply.text()
    assert '"error"' in text
    assert "[DONE]" not in text


async def test_a_stream_that_breaks_off_fails_at_its_client(back: Product) -> None:
    async with ollama.AsyncClient(host=back.url, headers=headers(back), timeout=20) as client:
        lines = await client.chat("fragile", MESSAGES, stream=True)
        said = [(await anext(lines)).message.content for _ in range(3)]
        assert "".join(filter(None, said)) == TEXT
        with pytest.raises(ollama.ResponseError) as broken:
            await anext(lines)
    assert broken.value.error


async def test_leaving_frees_the_slot_behind_both(front: Product, back: Product) -> None:
    async with ollama.AsyncClient(host=front.url, headers=headers(front), timeout=20) as client:
        async for _ in await client.chat("endless", MESSAGES, stream=True):
            break
    await back.until_busy("endless", 0, timeout_s=2)
