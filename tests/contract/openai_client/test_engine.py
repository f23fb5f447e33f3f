"""The official client and the real engine: shape, determinism and bounds; what so small a model says is not judged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel
from tests.contract.product import TEMPLATE

from .conftest import Product, staged

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

MODEL = "smollm2-135m"
COUNT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Count from one to ten."}]
STORY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Write a very long story about the sea."}]


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    level: Literal[1, 2, 3]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product with the shipped model, which is made to call tools."""
    home = tmp_path_factory.mktemp("engine")
    template = home / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    settings = {"threads": 1, "slots": 4, "context_tokens": 512, "chat_template_file": str(template)}
    with staged(home, {}, **{f"llamacpp__{name}": value for name, value in settings.items()}) as running:
        yield running


@pytest.fixture
async def client(engine: Product) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{engine.url}/v1", api_key=engine.key, max_retries=0, timeout=40) as one:
        yield one


@pytest.mark.seen("openai (Python)", "a chat, whole", "a chat, streamed", "usage")
async def test_whole_and_streamed_say_the_same(client: openai.AsyncOpenAI) -> None:
    create = client.chat.completions.create
    whole = await create(model=MODEL, messages=COUNT, temperature=0, seed=1, max_completion_tokens=12)
    stream = await create(
        model=MODEL,
        messages=COUNT,
        temperature=0,
        seed=1,
        max_completion_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert said
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 12
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens > 5


async def test_a_seed_makes_it_the_same_again_and_another_one_does_not(client: openai.AsyncOpenAI) -> None:
    async def say(seed: int) -> str | None:
        answer = await client.chat.completions.create(
            model=MODEL, messages=COUNT, seed=seed, temperature=1.5, max_tokens=24
        )
        return answer.choices[0].message.content

    first = await say(1)
    assert await say(1) == first
    assert first not in [await say(2), await say(3)]


@pytest.mark.seen("openai (Python)", "several answers")
async def test_several_answers_differ_and_are_told_apart(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=COUNT, n=3, seed=1, temperature=1.5, max_tokens=24
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 3 * 24


@pytest.mark.seen("openai (Python)", "stop texts")
async def test_it_stops_where_it_shall(client: openai.AsyncOpenAI) -> None:
    create = client.chat.completions.create
    whole = (await create(model=MODEL, messages=COUNT, temperature=0, max_tokens=24)).choices[0].message.content
    assert whole
    stop = whole[len(whole) // 2 :][:3]
    cut = await create(model=MODEL, messages=COUNT, temperature=0, max_tokens=24, stop=stop)
    assert cut.choices[0].message.content == whole[: whole.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


@pytest.mark.seen("openai (Python)", "an answer of a class")
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_of_the_class_that_was_asked_for(client: openai.AsyncOpenAI, streamed: bool) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How are you?"}]
    if streamed:
        async with client.chat.completions.stream(
            model=MODEL, messages=messages, response_format=Mood, max_tokens=100, temperature=0
        ) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.parse(
            model=MODEL, messages=messages, response_format=Mood, max_tokens=100, temperature=0
        )
    assert isinstance(answer.choices[0].message.parsed, Mood)


@pytest.mark.seen("openai (Python)", "tools")
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_is_called_with_arguments_that_are_valid(client: openai.AsyncOpenAI, streamed: bool) -> None:
    tool = openai.pydantic_function_tool(Mood, name="tell_mood")
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How are you?"}]
    if streamed:
        async with client.chat.completions.stream(
            model=MODEL, messages=messages, tools=[tool], tool_choice="required", max_tokens=200, temperature=0
        ) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.parse(
            model=MODEL, messages=messages, tools=[tool], tool_choice="required", max_tokens=200, temperature=0
        )
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    assert isinstance(choice.message.tool_calls[0].function.parsed_arguments, Mood)
    assert choice.message.tool_calls[0].id


@pytest.mark.seen("openai (Python)", "likelihoods")
async def test_how_likely_it_was(client: openai.AsyncOpenAI) -> None:
    chat = await client.chat.completions.create(
        model=MODEL, messages=COUNT, temperature=0, max_tokens=5, logprobs=True, top_logprobs=3
    )
    told = chat.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert "".join(token.token for token in told.content) == chat.choices[0].message.content
    assert [len(token.top_logprobs) for token in told.content] == [3] * 5
    assert all(token.logprob <= 0 for token in told.content)
    text = await client.completions.create(model=MODEL, prompt="One, two,", temperature=0, max_tokens=5, logprobs=2)
    columns = text.choices[0].logprobs
    assert columns is not None
    assert columns.tokens is not None
    assert "".join(columns.tokens) == text.choices[0].text


@pytest.mark.seen("openai (Python)", "completions")
async def test_texts_are_gone_on_with_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    create = client.completions.create
    prompts = ["One, two,", "The sea is"]
    whole = await create(model=MODEL, prompt=prompts, temperature=0, seed=1, max_tokens=6)
    stream = await create(model=MODEL, prompt=prompts, temperature=0, seed=1, max_tokens=6, stream=True)
    texts = ["", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert [choice.text for choice in whole.choices] == texts
    assert all(texts)
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 12


@pytest.mark.seen("openai (Python)", "errors as its exceptions")
async def test_a_prompt_beyond_the_context_is_refused(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "word " * 2000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as long:
            await client.chat.completions.create(model=MODEL, messages=messages, stream=stream)
        assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize("streamed", [False, True])
async def test_leaving_frees_the_slot_within_a_second(
    client: openai.AsyncOpenAI, engine: Product, streamed: bool
) -> None:
    async def ask() -> None:
        answer = await client.chat.completions.create(model=MODEL, messages=STORY, stream=streamed, temperature=0)
        if streamed:
            async for _ in answer:  # type: ignore[union-attr]  # a stream, then
                pass

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        await engine.until_busy(MODEL, 1, timeout_s=10)
        asking.cancel()
    await engine.until_busy(MODEL, 0, timeout_s=1)


@pytest.mark.seen("openai (Python)", "several at once")
async def test_more_at_once_than_there_are_slots(client: openai.AsyncOpenAI) -> None:
    async def ask(number: int) -> tuple[int, str | None]:
        answer = await client.chat.completions.create(
            model=MODEL, messages=COUNT, seed=number, max_tokens=8, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in answer]
        assert chunks[-1].usage is not None
        return chunks[-1].usage.completion_tokens, chunks[-2].choices[0].finish_reason

    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(number)) for number in range(12)]
    assert {await one for one in asking} <= {(8, "length"), *((count, "stop") for count in range(1, 9))}
