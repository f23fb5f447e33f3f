"""The openai backend with a real server: the engine's own, over TCP in a process of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from tests.integration.inference.conftest import Asking, call

from hyperinfer.contracts.inference import Continued, Processed, ProcessRequest
from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded, ModelNotFound, Unavailable, Unsupported
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.engine import EngineServer
from hyperinfer.workers.inference.backends.openai.backend import open_openai
from hyperinfer.workers.inference.backends.openai.servers import servers_of
from hyperinfer.workers.inference.backends.openai.settings import OpenAISettings, ServerSettings
from hyperinfer.workers.inference.cache import in_memory
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

MODEL = "SmolLM2-135M-Instruct.Q4_1"
HELLO = [{"role": "user", "content": "Say hello."}]
ENDLESS = {"logit_bias": {"2": -100}}
"""Without its end mark the model talks on until the context is full."""


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineServer]:
    with EngineServer.running() as server:
        yield server


class House:
    """A service with that server's models."""

    def __init__(self, service: InferenceService, engine: EngineServer) -> None:
        self.service = service
        self.engine = engine

    async def ask(self, body: dict[str, Any], send: Send | None = None, **fields: Any) -> Processed:
        request = ProcessRequest(body=msgspec.Raw(msgspec.json.encode(body)), **fields)
        async with asyncio.timeout(40):
            return await self.service.process(request, call(send))

    async def said(self, body: dict[str, Any], **fields: Any) -> Any:
        return json.loads(bytes((await self.ask(body, **fields)).completion))["choices"]

    async def is_there(self) -> bool:
        return [model.state for model in self.service.status().models] == ["ready"]

    async def is_away(self) -> bool:
        return not self.service.status().backends[0].available

    async def working(self, *, in_slots: int, timeout_s: float) -> None:
        """The engine says nothing by itself, so it is asked again and again."""
        headers = {"authorization": f"Bearer {self.engine.key}"}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def look() -> bool:
                async with session.get(f"{self.engine.root}/slots") as reply:
                    return len([slot for slot in await reply.json() if slot["is_processing"]]) == in_slots

            await eventually(look, timeout_s=timeout_s)


@asynccontextmanager
async def house(engine: EngineServer) -> AsyncIterator[House]:
    clock = SystemClock()
    server = ServerSettings(name="peer", url=engine.url, api_key=engine.key, look_every_s=1.0)
    settings, registry = InferenceSettings(), CollectorRegistry()
    cache = in_memory(settings.cache, clock=clock, registry=registry)
    service = InferenceService(settings, clock=clock, meters=Meters(registry, clock), cache=cache)
    [checked] = servers_of(OpenAISettings(servers=(server,)))
    async with open_openai(checked, clock=clock, changed=service.refresh) as backend:
        service.add(backend)
        running = House(service, engine)
        await eventually(running.is_there)
        yield running


async def test_what_it_has_is_found_out(engine: EngineServer) -> None:
    async with house(engine) as running:
        [model] = running.service.status().models
    assert (model.name, model.backend, model.slots, model.context_tokens) == (MODEL, "openai:peer", 2, 512)
    assert {"chat", "completion", "json", "logprobs", "continues"} <= set(model.capabilities)
    assert not {"tools", "vision", "embedding", "choices"} & set(model.capabilities)


async def test_a_chat_streamed_or_whole(engine: EngineServer) -> None:
    async with house(engine) as running:
        asking = Asking()
        body = {"messages": HELLO, "max_tokens": 8, "stream": True, "stream_options": {"include_usage": True}}
        processed = await running.ask(body, asking.send, completion_id="chatcmpl-1", public_model="public")
        first, *_, usage = asking.chunks
        assert {chunk["model"] for chunk in asking.chunks} == {"public"}
        assert {chunk["id"] for chunk in asking.chunks} == {"chatcmpl-1"}
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert usage["usage"]["completion_tokens"] == processed.usage.completion_tokens == 8
        [choice] = await running.said({"messages": HELLO, "max_tokens": 8, "temperature": 0})
        assert choice["message"]["content"]
        assert choice["finish_reason"] == "length"


async def test_several_answers_logprobs_and_texts(engine: EngineServer) -> None:
    async with house(engine) as running:
        choices = await running.said(
            {"messages": HELLO, "max_tokens": 4, "n": 3, "seed": 1, "logprobs": True, "top_logprobs": 2}
        )
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        for choice in choices:
            told = choice["logprobs"]["content"]
            assert len(told) == 4
            assert all(len(token["top_logprobs"]) == 2 for token in told)
        asked = {"prompt": ["Once upon", "The sky is"], "max_tokens": 3, "logprobs": 2, "echo": False}
        texts = await running.said(asked, kind="completion")
        assert [len(text["logprobs"]["tokens"]) for text in texts] == [3, 3]
        assert [text["finish_reason"] for text in texts] == ["length", "length"]
        [numbers] = await running.said({"prompt": [1, 2, 3], "max_tokens": 2}, kind="completion")
        assert numbers["text"]


async def test_an_answer_keeps_to_a_schema_and_a_bad_one_is_refused(engine: EngineServer) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 99}}, "required": ["age"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {**schema, "additionalProperties": False}}}
    async with house(engine) as running:
        [choice] = await running.said({"messages": HELLO, "response_format": wanted, "max_tokens": 60})
        assert json.loads(choice["message"]["content"]).keys() == {"age"}
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "wat"}}}
        with pytest.raises(BadRequest):
            await running.ask({"messages": HELLO, "response_format": bad})
        tool = {"type": "function", "function": {"name": "f"}}
        with pytest.raises(Unsupported) as refused:
            await running.ask({"messages": HELLO, "tools": [tool]})
        assert refused.value.details["param"] == "tools"


async def test_a_prompt_that_is_too_long_is_refused_with_the_counts(engine: EngineServer) -> None:
    async with house(engine) as running:
        with pytest.raises(ContextExceeded) as refused:
            await running.ask({"messages": [{"role": "user", "content": "word " * 900}]})
        assert refused.value.details["context_tokens"] == 512
        assert 900 < refused.value.details["prompt_tokens"] < 1000


async def test_a_cut_answer_is_gone_on_with(engine: EngineServer) -> None:
    async with house(engine) as running:
        body = {"messages": HELLO, "max_tokens": 12, "temperature": 0}
        [whole] = await running.said(body)
        text = whole["message"]["content"]
        so_far = text[: text.index(" ", len(text) // 2)]
        asking = Asking()
        tokens = 6
        processed = await running.ask(body, asking.send, continues=Continued(so_far, tokens))
        rest = asking.text
        assert rest.startswith(" ")
        assert (so_far + rest)[: len(text)] == text[: len(so_far + rest)]
        assert processed.usage.completion_tokens >= tokens


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_who_leaves_stops_the_generation_within_a_second(engine: EngineServer, streamed: bool) -> None:
    async with house(engine) as running:
        asking = Asking()
        body = {"messages": [{"role": "user", "content": "Count."}], **ENDLESS}
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.ask(body, asking.send if streamed else None))
            await running.working(in_slots=1, timeout_s=10)
            task.cancel()
        assert task.cancelled()
        await running.working(in_slots=0, timeout_s=1.0)


async def test_a_server_that_is_killed_in_mid_stream_is_noticed_at_once_and_comes_back_by_itself() -> None:
    with EngineServer.running() as engine:
        async with house(engine) as running:
            asking = Asking()
            task = asyncio.create_task(
                running.ask({"messages": [{"role": "user", "content": "Count."}], **ENDLESS}, asking.send)
            )
            await asking.began.wait()
            engine.kill()
            with pytest.raises(BackendFailed):
                await task
            await eventually(running.is_away, timeout_s=1.5)
            with pytest.raises((Unavailable, ModelNotFound)):
                await running.ask({"messages": HELLO})

            engine.start()
            await eventually(running.is_there, timeout_s=5)
            assert await running.said({"messages": HELLO, "max_tokens": 2})
