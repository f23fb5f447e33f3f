"""The echo backend answers the same every time, as it is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest, Message
from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.backends import End, Job
from hyperinfer.workers.inference.backends.echo.backend import BATCH, Echo
from hyperinfer.workers.inference.backends.echo.instance import instance
from hyperinfer.workers.inference.backends.echo.plan import GARBAGE
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings


class Heard:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.pieces: list[ChunkChoice] = []

    async def __call__(self, pieces: Sequence[ChunkChoice]) -> None:
        self.pieces += pieces
        self.batches.append([piece.delta.content or "" for piece in pieces])

    @property
    def words(self) -> list[str]:
        return [word for batch in self.batches for word in batch]


def echo(settings: EchoSettings | None = None, clock: ManualClock | None = None) -> Echo:
    return Echo(settings or EchoSettings(), clock or ManualClock(), lambda: None)


def job(request: ChatRequest, so_far: str = "") -> Job[ChatRequest]:
    return Job("echo", request, b"{}", so_far)


async def ask(text: str, settings: EchoSettings | None = None, so_far: str = "", **params: Any) -> tuple[Heard, End]:
    heard = Heard()
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="first"),
        Message(role="assistant", content="first"),
        Message(role="user", content=text),
    )
    request = ChatRequest(messages=messages, **params)
    end = await echo(settings).chat(job(request, so_far), heard)
    return heard, end


@pytest.mark.parametrize("text", ["one two  three\n", " lead", "", "\n\n", "wörd 🙃\tx"])
async def test_it_says_the_last_message_of_the_user_again(text: str) -> None:
    heard, end = await ask(text)
    assert "".join(heard.words) == text
    assert end.finish_reasons == ("stop",)
    assert end.usage.prompt_tokens == 4 + len(text.split())
    assert end.usage.completion_tokens == len(heard.words)


async def test_it_says_so_many_words_if_told_to_and_in_batches() -> None:
    heard, end = await ask("hi", EchoSettings(tokens=100))
    assert len(heard.words) == end.usage.completion_tokens == 100
    assert max(len(batch) for batch in heard.batches) == BATCH
    assert "".join(heard.words).startswith("word0 word1 word2")


async def test_chunks_may_hold_several_tokens() -> None:
    heard, end = await ask("hi", EchoSettings(tokens=10, tokens_per_chunk=4))
    assert [len(word.split()) for word in heard.words] == [4, 4, 2]
    assert end.usage.completion_tokens == 10


@pytest.mark.parametrize("settings", [EchoSettings(), EchoSettings(tokens=5)])
async def test_it_keeps_to_max_tokens(settings: EchoSettings) -> None:
    heard, end = await ask("a b c d e", settings, max_tokens=2)
    assert (len(heard.words), end.finish_reasons, end.usage.completion_tokens) == (2, ("length",), 2)


async def test_it_stops_before_a_stop() -> None:
    heard, end = await ask("one two three two", stop=("three", "two"))
    assert "".join(heard.words) == "one "
    assert (end.finish_reasons, end.stopped_by) == (("stop",), "two")


async def test_a_long_prompt_is_refused_with_the_counts() -> None:
    with pytest.raises(ContextExceeded) as refused:
        await ask("a b c", EchoSettings(context_tokens=5))
    assert (refused.value.details["prompt_tokens"], refused.value.details["context_tokens"]) == (7, 5)


async def test_time_passes_as_told() -> None:
    clock = ManualClock()
    heard = Heard()
    settings = EchoSettings(tokens=10, tokens_per_chunk=5, first_token_s=2.0, token_s=0.1)
    request = ChatRequest(messages=(Message(role="user", content="x"),))
    asking = asyncio.create_task(echo(settings, clock).chat(job(request), heard))
    said = []
    for passed_s in (1.5, 0.5, 0.4, 0.1, 0.5):
        await asyncio.sleep(0)
        clock.advance(passed_s)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        said.append(len(heard.batches))
    assert said == [0, 1, 1, 2, 2]
    assert (await asking).usage.completion_tokens == 10


async def test_faults() -> None:
    heard = Heard()
    request = ChatRequest(messages=(Message(role="user", content="a b c d e f"),))
    with pytest.raises(BackendFailed):
        await echo(EchoSettings(fault="before_first_token")).chat(job(request), heard)
    assert heard.words == []
    mid = EchoSettings(fault="in_mid_stream", fault_after_tokens=2)
    with pytest.raises(BackendFailed):
        await echo(mid).chat(job(request), heard)
    assert heard.words == ["a", " b"]
    garbage, end = await ask("a", EchoSettings(fault="garbage"))
    assert garbage.words == list(GARBAGE)
    assert end.finish_reasons == ("stop",)


async def test_it_can_fall_silent() -> None:
    heard = Heard()
    request = ChatRequest(messages=(Message(role="user", content="a b c d"),))
    asking = asyncio.create_task(echo(EchoSettings(fault="stall", fault_after_tokens=2)).chat(job(request), heard))
    await asyncio.wait([asking], timeout=0.05)
    assert heard.words == ["a", " b"]
    assert not asking.done()
    asking.cancel()
    await asyncio.wait([asking])


@pytest.mark.parametrize("settings", [EchoSettings(), EchoSettings(tokens=6)])
async def test_it_goes_on_from_wherever_it_was_cut(settings: EchoSettings) -> None:
    whole, ended = await ask("a b c d e f", settings)
    for cut in range(1, 6):
        rest, end = await ask("a b c d e f", settings, so_far="".join(whole.words[:cut]))
        assert rest.words == whole.words[cut:]
        assert end.continued_tokens == cut
        assert end.usage.prompt_tokens == ended.usage.prompt_tokens + cut
        assert end.usage.completion_tokens == len(whole.words) - cut


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 6},
        "days": {"type": "integer", "minimum": 3},
        "unit": {"enum": ["c", "f"]},
        "more": {"anyOf": [{"type": "array", "items": {"type": "boolean"}, "minItems": 2}, {"type": "null"}]},
        "left_out": {"type": "string"},
    },
    "required": ["city", "days", "unit", "more"],
}
INSTANCE = {"city": "echo..", "days": 3, "unit": "c", "more": [True, True]}


def chat_request(**fields: Any) -> ChatRequest:
    return msgspec.convert({"messages": [{"role": "user", "content": "a b"}], **fields}, ChatRequest)


async def test_it_calls_the_first_tool_or_the_one_that_is_named() -> None:
    tools = [TOOL | {"function": {"name": name, "parameters": SCHEMA}} for name in ("one", "two")]
    for choice, called in (
        ("auto", "one"),
        ("required", "one"),
        ({"type": "function", "function": {"name": "two"}}, "two"),
    ):
        heard = Heard()
        end = await echo().chat(job(chat_request(tools=tools, tool_choice=choice)), heard)
        assert end.finish_reasons == ("tool_calls",)
        deltas = [msgspec.json.decode(piece.delta.tool_calls)[0] for piece in heard.pieces]  # type: ignore[arg-type]
        assert deltas[0]["function"]["name"] == called
        assert msgspec.json.decode("".join(delta["function"]["arguments"] for delta in deltas)) == INSTANCE
    heard = Heard()
    end = await echo().chat(job(chat_request(tools=tools, tool_choice="none")), heard)
    assert (heard.words, end.finish_reasons) == (["a", " b"], ("stop",))


async def test_it_says_what_a_tool_said() -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "tool", "content": "12 degrees", "tool_call_id": "c"}]
    heard = Heard()
    await echo().chat(job(msgspec.convert({"messages": messages, "tools": [TOOL]}, ChatRequest)), heard)
    assert "".join(heard.words) == "12 degrees"


async def test_it_keeps_to_a_schema() -> None:
    heard = Heard()
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    await echo().chat(job(chat_request(response_format=wanted)), heard)
    assert msgspec.json.decode("".join(heard.words)) == INSTANCE
    heard = Heard()
    await echo().chat(job(chat_request(response_format={"type": "json_object"})), heard)
    assert msgspec.json.decode("".join(heard.words)) == {"said": "a b"}


def test_a_schema_without_end_has_a_small_instance() -> None:
    schema: dict[str, Any] = {"type": "array", "minItems": 1}
    schema["items"] = schema
    assert instance(schema)


async def test_it_tells_logprobs() -> None:
    heard = Heard()
    await echo().chat(job(chat_request(logprobs=True, top_logprobs=1)), heard)
    told = [msgspec.json.decode(piece.logprobs)["content"][0] for piece in heard.pieces]  # type: ignore[arg-type]
    assert [one["token"] for one in told] == ["a", " b"]
    assert all(len(one["top_logprobs"]) == 1 for one in told)


async def test_it_goes_on_with_a_text_and_embeds_it() -> None:
    heard = Heard()
    completion = CompletionRequest(prompt="a b")
    end = await echo().complete(Job("echo", completion, b"{}"), heard)
    assert (heard.words, end.usage.prompt_tokens) == (["a", " b"], 2)
    embedded = await echo().embed(Job("echo", EmbeddingRequest(input=("a", "b c", "a"), dimensions=8), b"{}"))
    first, second, third = embedded.vectors
    assert first == third != second
    assert len(first) == 8 * 4
    assert embedded.prompt_tokens == 4


async def test_an_embedding_without_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="at most 4096") as refused:
        await echo().embed(Job("echo", EmbeddingRequest(input=("a",), dimensions=4097), b"{}"))
    assert refused.value.details["param"] == "dimensions"


async def test_it_can_be_unloaded_and_takes_its_time_to_load() -> None:
    clock, changes = ManualClock(), []
    backend = Echo(EchoSettings(load_s=2.0), clock, lambda: changes.append(backend.models()[0].state))
    await backend.unload("echo")
    asking = asyncio.create_task(backend.chat(job(chat_request()), Heard()))
    await asyncio.wait([asking], timeout=0.05)
    assert changes == ["idle", "loading"]
    clock.advance(2.0)
    await asking
    assert changes == ["idle", "loading", "ready"]
