"""Chat with the official client: whole, streamed, several answers, where they end, how likely they were."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from .conftest import MESSAGES, PLAIN

TEXT = "one two three"


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES)
    [choice] = answer.choices
    assert (choice.index, choice.message.role, choice.message.content) == (0, "assistant", TEXT)
    assert (choice.finish_reason, choice.message.tool_calls, choice.logprobs) == ("stop", None, None)
    assert (answer.object, answer.model) == ("chat.completion", "echo")
    assert answer.id.startswith("chatcmpl-")
    assert answer.created > 1_700_000_000
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)


@pytest.mark.parametrize("with_usage", [True, False])
async def test_a_streamed_answer(client: openai.AsyncOpenAI, with_usage: bool) -> None:
    stream = await client.chat.completions.create(
        model="echo", messages=MESSAGES, stream=True, stream_options={"include_usage": with_usage}
    )
    chunks = [chunk async for chunk in stream]
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert chunks[0].object == "chat.completion.chunk"
    if with_usage:
        last = chunks.pop()
        assert last.choices == []
        assert last.usage is not None
        assert last.usage.total_tokens == 6
    assert all(chunk.usage is None for chunk in chunks)
    deltas = [choice for chunk in chunks for choice in chunk.choices]
    assert [choice.delta.role for choice in deltas if choice.delta.role] == ["assistant"]
    assert deltas[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in deltas) == TEXT
    assert [choice.finish_reason for choice in deltas if choice.finish_reason] == ["stop"]
    assert deltas[-1].finish_reason == "stop"


async def test_the_clients_own_helper_puts_a_stream_together(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="echo", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        said = [event.delta async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert "".join(said) == final.choices[0].message.content == TEXT
    assert final.usage is not None
    assert final.usage.completion_tokens == 3


@pytest.mark.seen("openai (Python)", "a system prompt", "a conversation")
async def test_messages_of_every_role_and_with_parts(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be short."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "hello", "name": "ada"},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "left "}, {"type": "text", "text": "right"}]},
    ]
    answer = await client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content is not None
    assert answer.choices[0].message.content.split() == ["left", "right"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_ends_where_it_shall(client: openai.AsyncOpenAI, field: str) -> None:
    limit: Any = {field: 2}
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES, **limit)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("one two", "length")
    stream = await client.chat.completions.create(model="echo", messages=MESSAGES, stream=True, **limit)
    assert [chunk.choices[0].finish_reason async for chunk in stream][-1] == "length"


@pytest.mark.parametrize("stop", [" three", [" three"], ["nothing", "hree", " t"], ["x", "y", "z", "e t", "five"]])
async def test_stop_sequences(client: openai.AsyncOpenAI, stop: str | list[str]) -> None:
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES, stop=stop)
    text = answer.choices[0].message.content
    assert text is not None
    assert TEXT.startswith(text)
    assert len(text) < len(TEXT)
    assert answer.choices[0].finish_reason == "stop"
    stream = await client.chat.completions.create(model="echo", messages=MESSAGES, stop=stop, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == text


async def test_several_answers(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES, n=3, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.message.content for choice in answer.choices] == [TEXT] * 3
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 9)


async def test_several_answers_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="echo", messages=MESSAGES, n=3, stream=True, stream_options={"include_usage": True}
    )
    texts, roles, reasons = [""] * 3, [0] * 3, [0] * 3
    chunks = [chunk async for chunk in stream]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
        roles[choice.index] += choice.delta.role == "assistant"
        reasons[choice.index] += choice.finish_reason == "stop"
        assert roles[choice.index], "the role comes first"
    usage = chunks[-1].usage
    assert (texts, roles, reasons) == ([TEXT] * 3, [1] * 3, [1] * 3)
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 9)


async def test_how_likely_it_was(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES, logprobs=True, top_logprobs=2)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(token.token for token in told.content) == TEXT
    assert all(token.logprob < 0 and token.top_logprobs for token in told.content)
    assert bytes(told.content[0].bytes or ()) == b"one"
    stream = await client.chat.completions.create(model="echo", messages=MESSAGES, logprobs=True, stream=True)
    tokens = [
        token.token
        async for chunk in stream
        if chunk.choices[0].logprobs and chunk.choices[0].logprobs.content
        for token in chunk.choices[0].logprobs.content
    ]
    assert "".join(tokens) == TEXT


async def test_the_same_seed_gives_the_same_answer(client: openai.AsyncOpenAI) -> None:
    answers = [
        await client.chat.completions.create(model="echo", messages=MESSAGES, seed=7, temperature=0) for _ in range(2)
    ]
    assert answers[0].choices == answers[1].choices
    assert answers[0].id != answers[1].id


async def test_what_changes_nothing_here_is_taken(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="echo",
        messages=MESSAGES,
        temperature=0.5,
        top_p=0.9,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        user="somebody",
        service_tier="flex",
        store=False,
        metadata={"a": "b"},
        prompt_cache_key="k",
        safety_identifier="s",
        parallel_tool_calls=True,
        extra_body={"top_k": 40, "min_p": 0.1, "vendor": {"anything": [1, 2, {"deep": None}]}},
    )
    assert answer.choices[0].message.content == TEXT


async def test_text_of_every_kind_comes_through(client: openai.AsyncOpenAI) -> None:
    text = 'ü 🙃 "quoted" \\ \u2028 data: [DONE] </script> \x7f 中文'
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    answer = await client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content == text
    stream = await client.chat.completions.create(model="echo", messages=messages, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == text


async def test_a_model_that_says_what_confuses_is_passed_on_unharmed(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="confusing", messages=MESSAGES)
    stream = await client.chat.completions.create(model="confusing", messages=MESSAGES, stream=True)
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert said == whole.choices[0].message.content
    assert "data: [DONE]" in said


@pytest.mark.seen("openai (Python)", "models")
async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert {"echo", "eyes", PLAIN} <= set(names)
    for name in ("echo", PLAIN):
        model = await client.models.retrieve(name)
        assert (model.id, model.object, model.owned_by) == (name, "model", "hyperinfer")


async def test_what_the_headers_tell(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="echo", messages=MESSAGES, extra_headers={"X-Request-Id": "mine"}
    )
    assert raw.headers["x-request-id"] == "mine"
    assert raw.headers["x-hyperinfer-worker"].isalnum()
    assert raw.headers["x-hyperinfer-model"] == "echo"
    assert raw.headers["server-timing"].startswith("queue;dur=")
    assert raw.parse().choices
