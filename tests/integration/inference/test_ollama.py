"""The ollama backend with a server that speaks Ollama's API: models that come and go, answers of every kind, slots."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import Continued, Kind
from hyperinfer.errors import BadRequest, ContextExceeded, ModelNotFound, Unsupported
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.ollama import OllamaModel, OllamaServer
from hyperinfer.testing.serving import Heard, Serving
from hyperinfer.workers.inference.backends import BackendModel
from hyperinfer.workers.inference.backends.ollama.backend import Ollama, open_ollama
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

CHAT = OllamaModel("smollm2:135m", opens=True)
ABLE = OllamaModel("qwen3:8b", ("completion", "tools", "thinking", "vision", "insert"))
EMBEDDER = OllamaModel("minilm:latest", ("embedding",), context_length=512)
HELLO = [{"role": "user", "content": "What is 2 + 2?"}]
House = Serving[Ollama]
QUICK: dict[str, Any] = {"look_every_s": 0.05, "grace_s": 0.0}


@asynccontextmanager
async def house(*models: OllamaModel, key: str = "", **settings: Any) -> AsyncIterator[tuple[House, OllamaServer]]:
    """A service in front of a server with these models, all of which it knows."""
    async with OllamaServer.running(*models) as server:
        server.will.key = key
        there = House()
        wanted = OllamaSettings(**{"url": server.url, **QUICK, **settings})
        async with there.running(
            open_ollama(wanted, clock=SystemClock(), changed=there.changed, found=there.service.add)
        ):
            await there.until(lambda found: len(found) == len(models))
            yield there, server


def knows(name: str, found: Mapping[str, BackendModel]) -> bool:
    return name in found


def chat(**fields: Any) -> dict[str, Any]:
    return {"messages": HELLO, **fields}


# --- models ----------------------------------------------------------------------------------------------


async def test_models_come_and_go_as_ollamas_do() -> None:
    async with house(CHAT) as (there, server):
        server.models[EMBEDDER.name] = EMBEDDER
        await there.until(lambda found: set(found) == {CHAT.name, EMBEDDER.name})
        del server.models[CHAT.name]
        await there.until(lambda found: set(found) == {EMBEDDER.name})
        with pytest.raises(ModelNotFound):
            await there.ask(chat(), model=CHAT.name)


async def test_nothing_is_said_while_nothing_changes() -> None:
    async with house(CHAT) as (there, server):
        before, looks = there.changes, len(server.record.asked)

        async def looked() -> bool:
            return len(server.record.asked) >= looks + 12

        await eventually(looked)
        assert there.changes == before


async def test_a_model_is_ready_once_it_has_spoken() -> None:
    async with house(CHAT, look_every_s=60) as (there, _server):
        assert there.models[CHAT.name].state == "idle"
        await there.ask(chat())
        await there.until(lambda found: found[CHAT.name].state == "ready")
        ready = there.models[CHAT.name]
        assert (ready.context_tokens, ready.memory_bytes) == (2048, CHAT.size * 3)


async def test_models_are_loaded_and_unloaded() -> None:
    async with house(CHAT, EMBEDDER, look_every_s=60, context_tokens=1024) as (there, server):
        for name in (CHAT.name, EMBEDDER.name):
            status = await there.service.load(name)
            assert status.state == "ready"
        assert server.loaded[CHAT.name][0] == 1024
        await there.ask({"messages": HELLO}, model=CHAT.name)
        await there.ask({"input": "a"}, kind="embedding", model=EMBEDDER.name)
        assert server.record.loads == {CHAT.name: 1, EMBEDDER.name: 1}  # what is asked agrees with how it was loaded
        for name in (CHAT.name, EMBEDDER.name):
            status = await there.service.unload(name)
            assert status.state == "idle"
        assert server.loaded == {}


async def test_a_model_that_is_gone_cannot_be_loaded() -> None:
    async with house(CHAT, look_every_s=60) as (there, server):
        del server.models[CHAT.name]
        with pytest.raises(ModelNotFound):
            await there.backend.load(CHAT.name)
        await there.until(lambda found: not found)


async def test_older_versions_are_asked_once_what_each_model_can_do() -> None:
    async with house(CHAT) as (there, server):
        server.will.lists_capabilities = False
        for model in (EMBEDDER, ABLE):
            server.models[model.name] = model
            await there.until(partial(knows, model.name))
        shown = [body["model"] for body in server.record.bodies("/api/show")]
        assert sorted(shown) == sorted(set(shown))
        assert there.models[ABLE.name].capabilities[0] == "chat"


# --- answers ---------------------------------------------------------------------------------------------


async def test_a_chat_whole() -> None:
    async with house(CHAT) as (there, server):
        answer = await there.whole({"messages": HELLO, "max_tokens": 50, "temperature": 0})
        assert answer["choices"][0]["message"]["content"] == "The answer is: 4"
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
        assert server.record.bodies("/api/chat")[0]["options"] == {"num_predict": 50, "temperature": 0}


async def test_a_chat_streamed() -> None:
    async with house(CHAT) as (there, _):
        heard = Heard()
        processed = await there.ask(chat(stream=True, stream_options={"include_usage": True}), send=heard)
        assert heard.text == "The answer is: 4"
        assert [delta.get("content") for delta in heard.deltas] == ["", "The", " answer", " is:", " 4", None]
        assert heard.chunks[-1]["usage"]["completion_tokens"] == 4
        assert processed.usage.total_tokens == 9


async def test_an_answer_that_is_cut_short_says_so() -> None:
    async with house(CHAT) as (there, _):
        answer = await there.whole({"messages": HELLO, "max_tokens": 2})
        assert answer["choices"][0]["message"]["content"] == "The answer"
        assert answer["choices"][0]["finish_reason"] == "length"
        assert (await there.whole({"messages": HELLO, "stop": [" is"]}))["choices"][0]["message"][
            "content"
        ] == "The answer"


async def test_several_answers_are_asked_for_one_by_one() -> None:
    async with house(CHAT) as (there, server):
        answer = await there.whole({"messages": HELLO, "n": 3, "seed": 7})
        assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
        assert [body["options"]["seed"] for body in server.record.bodies("/api/chat")] == [7, 8, 9]
        assert server.record.most_at_once == 1


async def test_json_under_a_schema() -> None:
    async with house(CHAT) as (there, server):
        schema = {"type": "object", "properties": {"city": {"type": "string"}, "pop": {"type": "integer"}}}
        wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
        answer = await there.whole({"messages": HELLO, "response_format": wanted})
        assert json.loads(answer["choices"][0]["message"]["content"])["city"] == "Paris"
        assert server.record.bodies("/api/chat")[0]["format"] == schema


async def test_logprobs_of_chats_and_texts() -> None:
    async with house(CHAT) as (there, _):
        answer = await there.whole({"messages": HELLO, "logprobs": True, "top_logprobs": 2})
        told = answer["choices"][0]["logprobs"]["content"]
        assert [token["token"] for token in told] == ["The", " answer", " is:", " 4"]
        assert [len(token["top_logprobs"]) for token in told] == [2, 2, 2, 2]
        answer = await there.whole({"prompt": "Well:", "logprobs": 1}, kind="completion")
        assert answer["choices"][0]["logprobs"]["text_offset"] == [0, 3, 10, 14]


async def test_thoughts_come_beside_the_answer() -> None:
    async with house(ABLE) as (there, server):
        server.will.thinking = "Two and two."
        answer = await there.whole({"messages": HELLO, "reasoning_effort": "high"})
        assert answer["choices"][0]["message"]["reasoning_content"] == "Two and two."
        assert server.record.bodies("/api/chat")[0]["think"] == "high"
        answer = await there.whole({"messages": HELLO, "reasoning_effort": "none"})
        assert "reasoning_content" not in answer["choices"][0]["message"]


async def test_tools_are_called_and_answered() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("weather", "time")]
    async with house(ABLE) as (there, server):
        server.will.calls = (("weather", {"city": "Paris"}), ("time", {}))
        heard = Heard()
        await there.ask({"messages": HELLO, "tools": tools, "stream": True}, send=heard)
        deltas = [call for delta in heard.deltas for call in delta.get("tool_calls", ())]
        assert [(call["index"], call["type"], call["function"]) for call in deltas] == [
            (0, "function", {"name": "weather", "arguments": '{"city": "Paris"}'.replace(" ", "")}),
            (1, "function", {"name": "time", "arguments": "{}"}),
        ]
        assert heard.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"

        message = (await there.whole({"messages": HELLO, "tools": tools, "parallel_tool_calls": False}))["choices"][0][
            "message"
        ]
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather"]

        called = {"role": "assistant", "content": None, "tool_calls": message["tool_calls"]}
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}
        answer = await there.whole({"messages": [*HELLO, called, result], "tools": tools})
        assert answer["choices"][0]["finish_reason"] == "stop"
        told = server.record.bodies("/api/chat")[-1]["messages"]
        assert told[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Paris"}
        assert told[2]["tool_name"] == "weather"


async def test_texts_are_gone_on_with() -> None:
    async with house(ABLE) as (there, server):
        answer = await there.whole({"prompt": "Say: The answer", "echo": True}, kind="completion")
        assert answer["choices"][0]["text"] == "Say: The answer is: 4"
        await there.whole({"prompt": "def f():", "suffix": "return 4"}, kind="completion")
        raw, filled = server.record.bodies("/api/generate")
        assert (raw["raw"], filled["raw"], filled["suffix"]) == (True, False, "return 4")


async def test_embeddings_in_the_order_of_the_texts() -> None:
    async with house(EMBEDDER) as (there, server):
        texts = [f"text {number}" for number in range(150)]
        answer = await there.whole({"input": texts}, kind="embedding")
        assert len(answer["data"]) == 150
        alone = await there.whole({"input": texts[149], "dimensions": 384}, kind="embedding")
        assert answer["data"][149]["embedding"] == pytest.approx(alone["data"][0]["embedding"])
        assert answer["usage"]["prompt_tokens"] == 300
        assert [len(body["input"]) for body in server.record.bodies("/api/embed")[:3]] == [64, 64, 22]
        short = await there.whole({"input": "a", "dimensions": 8}, kind="embedding")
        assert len(short["data"][0]["embedding"]) == 8
        with pytest.raises(BadRequest, match="have 384") as caught:
            await there.whole({"input": "a", "dimensions": 1000}, kind="embedding")
        assert caught.value.details == {"param": "dimensions"}


async def test_what_is_too_long_is_said_and_not_cut() -> None:
    async with house(CHAT, EMBEDDER) as (there, _):
        long = "word " * 3000
        with pytest.raises(ContextExceeded) as caught:
            await there.ask({"messages": [{"role": "user", "content": long}]}, model=CHAT.name)
        assert caught.value.details == {"param": "messages", "prompt_tokens": 3000, "context_tokens": 2048}
        with pytest.raises(ContextExceeded):
            await there.ask({"prompt": long}, kind="completion", model=CHAT.name)
        with pytest.raises(ContextExceeded):
            await there.ask({"input": long}, kind="embedding", model=EMBEDDER.name)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}, None),
    ],
)
async def test_what_a_model_cannot_do_never_reaches_ollama(fields: dict[str, Any], param: str | None) -> None:
    async with house(CHAT) as (there, server):
        with pytest.raises(Unsupported) as caught:
            await there.ask(chat(**fields))
        assert param is None or caught.value.details["param"] == param
        assert server.record.bodies("/api/chat") == []


async def test_an_answer_is_gone_on_with_where_the_operator_says_that_it_can() -> None:
    async with house(CHAT, continues=("smollm2*",)) as (there, _):
        heard = Heard()
        continued = Continued(text="The answer", tokens=2)
        processed = await there.ask(
            {"messages": HELLO, "stream": True, "max_tokens": 3}, send=heard, continues=continued
        )
        assert heard.text == " is:"
        assert (processed.usage.completion_tokens, processed.finish_reason) == (3, "length")
    async with house(CHAT) as (there, _):
        with pytest.raises(Unsupported):
            await there.ask(chat(), continues=continued)


# --- slots and cancellation ------------------------------------------------------------------------------


async def test_no_more_are_in_flight_than_there_are_slots() -> None:
    async with house(CHAT, slots=2) as (there, server):
        server.will.parallel = 8
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(there.ask(chat()))
        assert server.record.most_at_once == 2


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_who_goes_away_stops_the_work_within_a_second(*, is_streamed: bool) -> None:
    async with house(CHAT) as (there, server):
        server.will.text, server.will.token_s = "word " * 10_000, 0.01
        heard = Heard(3)
        asking = asyncio.create_task(
            there.ask({"messages": HELLO, "stream": is_streamed}, send=heard if is_streamed else None)
        )
        async with asyncio.timeout(10):
            await (heard.enough.wait() if is_streamed else server.record.began.wait())
        asking.cancel()
        async with asyncio.timeout(1):
            await server.record.dropped.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize("kind", ["chat", "embedding"])
async def test_who_goes_away_before_the_answer_begins_stops_the_work_too(kind: Kind) -> None:
    async with house(CHAT if kind == "chat" else EMBEDDER) as (there, server):
        server.will.hold = asyncio.Event()
        asking = asyncio.create_task(there.ask({"input": "a"} if kind == "embedding" else chat(), kind=kind))
        async with asyncio.timeout(10):
            await server.record.began.wait()
        asking.cancel()
        async with asyncio.timeout(1):
            await server.record.dropped.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_long_answer_comes_whole_to_a_slow_reader() -> None:
    async with house(CHAT) as (there, server):
        server.will.text = " ".join(f"word{number}" for number in range(20_000))
        heard = Heard()

        async def slowly(chunks: Sequence[bytes]) -> None:
            await heard(chunks)
            await asyncio.sleep(0)

        await there.ask({"messages": HELLO, "stream": True}, send=slowly)
        assert heard.text == server.will.text


async def test_keys_and_headers_are_shown_to_ollama_and_to_nobody_else() -> None:
    async with house(CHAT, key="hunter2", api_key="hunter2", headers={"x-team": "blue"}) as (there, server):
        await there.ask(chat())
        assert {asked.headers["x-team"] for asked in server.record.asked} == {"blue"}
        assert b"hunter2" not in msgspec.json.encode(there.service.status())
