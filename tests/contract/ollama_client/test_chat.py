"""Chats with the official client: whole, streamed, with tools, schemas, thoughts, images and likelihoods."""

import base64
import json
from typing import Any, Literal

import ollama
import pytest
from pydantic import BaseModel

from .conftest import MESSAGES, TEXT

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    level: int


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
      a: The one.
      b: The other.
    """
    return a + b


async def test_a_whole_answer(client: ollama.AsyncClient) -> None:
    answer = await client.chat("echo", MESSAGES)
    assert (answer.model, answer.message.role, answer.message.content) == ("echo", "assistant", TEXT)
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (3, 3)
    assert answer.created_at is not None
    assert answer.created_at.endswith("Z")
    assert answer.total_duration is not None
    assert answer.total_duration > 0


async def test_a_streamed_answer(client: ollama.AsyncClient) -> None:
    lines = [line async for line in await client.chat("echo", MESSAGES, stream=True)]
    assert [line.message.content for line in lines] == ["one", " two", " three", ""]
    assert {line.message.role for line in lines} == {"assistant"}
    assert [line.done for line in lines] == [False, False, False, True]
    assert (lines[-1].done_reason, lines[-1].prompt_eval_count, lines[-1].eval_count) == ("stop", 3, 3)


def test_the_client_that_blocks(blocking: ollama.Client) -> None:
    assert blocking.chat("ECHO", MESSAGES).message.content == TEXT
    assert "".join(line.message.content or "" for line in blocking.chat("echo", MESSAGES, stream=True)) == TEXT


@pytest.mark.seen("ollama (Python)", "stop texts")
@pytest.mark.parametrize("stream", [False, True])
async def test_where_an_answer_ends(client: ollama.AsyncClient, stream: bool) -> None:
    async def say(**options: Any) -> tuple[str, str | None]:
        if not stream:
            whole = await client.chat("echo", MESSAGES, options=options)
            return whole.message.content or "", whole.done_reason
        lines = [line async for line in await client.chat("echo", MESSAGES, options=options, stream=True)]
        return "".join(line.message.content or "" for line in lines), lines[-1].done_reason

    assert await say(num_predict=2) == ("one two", "length")
    assert await say(num_predict=-1, num_ctx=4096) == (TEXT, "stop")
    assert await say(stop=[" three"], temperature=0.5, top_k=40, repeat_penalty=1.1) == ("one two", "stop")


@pytest.mark.seen("ollama (Python)", "tools")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_answer_read(client: ollama.AsyncClient, stream: bool) -> None:
    if stream:
        lines = [line async for line in await client.chat("echo", MESSAGES, tools=[add], stream=True)]
        [calling] = [line for line in lines if line.message.tool_calls]
        assert (calling.done, lines[-1].done) == (False, True)
    else:
        calling = await client.chat("echo", MESSAGES, tools=[add])
    assert calling.message.tool_calls is not None
    [call] = calling.message.tool_calls
    assert call.function.name == "add"
    total = add(**call.function.arguments)
    answered = {"role": "tool", "tool_name": "add", "content": f"It is {total}."}
    again = await client.chat("echo", [*MESSAGES, calling.message, answered], tools=[add])
    assert again.message.content == f"It is {total}."


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_of_the_form_that_was_asked_for(client: ollama.AsyncClient, stream: bool) -> None:
    async def say(form: Any) -> str:
        if not stream:
            return (await client.chat("echo", MESSAGES, format=form)).message.content or ""
        return "".join(
            [line.message.content or "" async for line in await client.chat("echo", MESSAGES, format=form, stream=True)]
        )

    Mood.model_validate_json(await say(Mood.model_json_schema()))
    assert isinstance(json.loads(await say("json")), dict)
    assert await say("") == TEXT


@pytest.mark.seen("ollama (Python)", "thoughts")
@pytest.mark.parametrize("think", [True, "low"])
async def test_thoughts(client: ollama.AsyncClient, think: Any) -> None:
    whole = await client.chat("thinker", MESSAGES, think=think)
    assert whole.message.thinking
    assert whole.message.content == TEXT
    lines = [line async for line in await client.chat("thinker", MESSAGES, think=think, stream=True)]
    assert "".join(line.message.thinking or "" for line in lines) == whole.message.thinking
    assert "".join(line.message.content or "" for line in lines) == TEXT
    without = await client.chat("thinker", MESSAGES, think=False)
    assert not without.message.thinking


@pytest.mark.seen("ollama (Python)", "images")
async def test_images(client: ollama.AsyncClient) -> None:
    shown = await client.chat("eyes", [{"role": "user", "content": "What is it?", "images": [PNG]}])
    assert shown.message.content == "What is it?"
    described = await client.generate("eyes", "What is it?", images=[PNG])
    assert described.response == "What is it?"


@pytest.mark.seen("ollama (Python)", "likelihoods")
async def test_how_likely_it_was(client: ollama.AsyncClient) -> None:
    whole = await client.chat("echo", MESSAGES, logprobs=True, top_logprobs=1)
    assert whole.logprobs is not None
    assert "".join(one.token for one in whole.logprobs) == TEXT
    lines = [line async for line in await client.chat("echo", MESSAGES, logprobs=True, top_logprobs=1, stream=True)]
    told = [one for line in lines for one in line.logprobs or ()]
    assert told == list(whole.logprobs)
    assert all(one.top_logprobs for one in told)
    text = await client.generate("echo", TEXT, raw=True, logprobs=True, top_logprobs=1)
    assert text.logprobs == whole.logprobs


@pytest.mark.seen("ollama (Python)", "a system prompt", "a conversation")
async def test_messages_of_every_role(client: ollama.AsyncClient) -> None:
    messages: list[dict[str, Any] | ollama.Message] = [
        {"role": "system", "content": "Be brief."},
        ollama.Message(role="user", content="hello"),
        ollama.Message(role="assistant", content="hi", thinking="Hm."),
        {"role": "user", "content": "left right"},
    ]
    assert (await client.chat("echo", messages)).message.content == "left right"
