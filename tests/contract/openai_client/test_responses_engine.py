"""Responses of the real engine: shape, determinism and bounds; what so small a model says is not judged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from tests.contract.product import TEMPLATE

from .conftest import Product, staged

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

MODEL = "smollm2-135m"
COUNT = "Count from one to ten."
SURE: dict[str, Any] = {"temperature": 0, "extra_body": {"seed": 1}}


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    level: Literal[1, 2, 3]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product with the shipped model, which is made to call tools."""
    home = tmp_path_factory.mktemp("responses")
    template = home / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    settings = {"threads": 1, "slots": 2, "context_tokens": 512, "chat_template_file": str(template)}
    with staged(home, {}, **{f"llamacpp__{name}": value for name, value in settings.items()}) as running:
        yield running


@pytest.fixture
async def client(engine: Product) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{engine.url}/v1", api_key=engine.key, max_retries=0, timeout=40) as one:
        yield one


@pytest.mark.seen("openai (Python)", "responses")
async def test_whole_and_streamed_say_the_same(client: openai.AsyncOpenAI) -> None:
    whole = await client.responses.create(model=MODEL, input=COUNT, max_output_tokens=12, **SURE)
    stream = await client.responses.create(model=MODEL, input=COUNT, max_output_tokens=12, stream=True, **SURE)
    events = [event async for event in stream]
    last = events[-1]
    assert last.type == "response.incomplete"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert last.response.output_text == whole.output_text
    assert whole.output_text
    assert (whole.status, whole.incomplete_details) == ("incomplete", last.response.incomplete_details)
    assert whole.usage is not None
    assert last.response.usage is not None
    assert (whole.usage.output_tokens, last.response.usage.output_tokens) == (12, 12)
    assert last.response.usage.input_tokens == whole.usage.input_tokens > 5
    assert last.response.usage.input_tokens_details.cached_tokens > 0, "the engine has read it before"


async def test_an_answer_is_of_the_class_that_was_asked_for(client: openai.AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": "How are you?", "text_format": Mood, "max_output_tokens": 100}
    whole = await client.responses.parse(**asked, **SURE)
    async with client.responses.stream(**asked, **SURE) as stream:
        streamed = await stream.get_final_response()
    assert isinstance(whole.output_parsed, Mood)
    assert streamed.output_parsed == whole.output_parsed


async def test_a_tool_is_called_and_its_output_answered(client: openai.AsyncOpenAI) -> None:
    tools: Any = [openai.pydantic_function_tool(Mood, name="tell_mood")]
    said: list[Any] = [{"role": "user", "content": "How are you?"}]
    async with client.responses.stream(
        model=MODEL, input=said, tools=tools, tool_choice="required", max_output_tokens=200, **SURE
    ) as stream:
        first = await stream.get_final_response()
    [call] = first.output
    assert call.type == "function_call"
    assert isinstance(call.parsed_arguments, Mood)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "good"}
    further: dict[str, Any] = {"input": [*said, *first.output, output], "tools": tools, "tool_choice": "none"}
    again = await client.responses.parse(model=MODEL, max_output_tokens=8, **further, **SURE)
    assert again.output_text


async def test_how_likely_it_was(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(
        model=MODEL,
        input=COUNT,
        max_output_tokens=5,
        top_logprobs=3,
        include=["message.output_text.logprobs"],
        **SURE,
    )
    [message] = response.output
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    told = message.content[0].logprobs
    assert told is not None
    assert "".join(token.token for token in told) == response.output_text
    assert [len(token.top_logprobs) for token in told] == [3] * 5


async def test_a_prompt_beyond_the_context_is_refused(client: openai.AsyncOpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as long:
            await client.responses.create(model=MODEL, input="word " * 2000, stream=stream)
        assert (long.value.code, long.value.param) == ("context_length_exceeded", "input")


@pytest.mark.parametrize("streamed", [False, True])
async def test_leaving_frees_the_slot_within_a_second(
    client: openai.AsyncOpenAI, engine: Product, streamed: bool
) -> None:
    async def ask() -> None:
        answer = await client.responses.create(
            model=MODEL, input="Write a very long story about the sea.", stream=streamed, temperature=0
        )
        if streamed:
            async for _ in answer:  # type: ignore[union-attr]  # a stream, then
                pass

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        await engine.until_busy(MODEL, 1, timeout_s=10)
        asking.cancel()
    await engine.until_busy(MODEL, 0, timeout_s=1)
