"""The echo backend answers the same every time, as it is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hyperinfer.contracts.openai import ChatRequest, Delta, Message
from hyperinfer.errors import BackendFailed, ContextExceeded
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.backends import End
from hyperinfer.workers.inference.backends.echo import BATCH, GARBAGE, Echo
from hyperinfer.workers.inference.config import EchoSettings


class Heard:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def __call__(self, deltas: Sequence[Delta]) -> None:
        self.batches.append([delta.content or "" for delta in deltas])

    @property
    def words(self) -> list[str]:
        return [word for batch in self.batches for word in batch]


async def ask(text: str, settings: EchoSettings | None = None, **params: Any) -> tuple[Heard, End]:
    heard = Heard()
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="first"),
        Message(role="assistant", content="first"),
        Message(role="user", content=text),
    )
    request = ChatRequest(messages=messages, **params)
    end = await Echo(settings or EchoSettings(), ManualClock()).chat("echo", request, heard)
    return heard, end


@pytest.mark.parametrize("text", ["one two  three\n", " lead", "", "\n\n", "wörd 🙃\tx"])
async def test_it_says_the_last_message_of_the_user_again(text: str) -> None:
    heard, end = await ask(text)
    assert "".join(heard.words) == text
    assert end.finish_reason == "stop"
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
    assert (len(heard.words), end.finish_reason, end.usage.completion_tokens) == (2, "length", 2)


async def test_it_stops_before_a_stop() -> None:
    heard, end = await ask("one two three two", stop=("three", "two"))
    assert "".join(heard.words) == "one "
    assert end.finish_reason == "stop"


async def test_a_long_prompt_is_refused_with_the_counts() -> None:
    with pytest.raises(ContextExceeded) as refused:
        await ask("a b c", EchoSettings(context_tokens=5))
    assert (refused.value.details["prompt_tokens"], refused.value.details["context_tokens"]) == (7, 5)


async def test_time_passes_as_told() -> None:
    clock = ManualClock()
    heard = Heard()
    settings = EchoSettings(tokens=10, tokens_per_chunk=5, first_token_s=2.0, token_s=0.1)
    request = ChatRequest(messages=(Message(role="user", content="x"),))
    asking = asyncio.create_task(Echo(settings, clock).chat("echo", request, heard))
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
        await Echo(EchoSettings(fault="before_first_token"), ManualClock()).chat("echo", request, heard)
    assert heard.words == []
    mid = EchoSettings(fault="in_mid_stream", fault_after_tokens=2)
    with pytest.raises(BackendFailed):
        await Echo(mid, ManualClock()).chat("echo", request, heard)
    assert heard.words == ["a", " b"]
    garbage, end = await ask("a", EchoSettings(fault="garbage"))
    assert garbage.words == list(GARBAGE)
    assert end.finish_reason == "stop"
