"""The official client and the real engine: shape, counts and bounds; what so small a model says is not judged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import anthropic
import pytest
from anthropic.types import MessageParam
from pydantic import BaseModel
from tests.contract.product import TEMPLATE, Product, staged

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

MODEL = "smollm2-135m"
COUNT: list[MessageParam] = [{"role": "user", "content": "Count from one to ten."}]
STORY: list[MessageParam] = [{"role": "user", "content": "Write a very long story about the sea."}]
GREEDY: dict[str, Any] = {"temperature": 0, "top_k": 1}


class Mood(BaseModel):
    mood: Literal["good", "bad"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product with the shipped model, which is made to call tools."""
    home = tmp_path_factory.mktemp("engine")
    template = home / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    settings = {"threads": 1, "slots": 2, "context_tokens": 512, "chat_template_file": str(template)}
    with staged(home, {}, **{f"llamacpp__{name}": value for name, value in settings.items()}) as running:
        yield running


@pytest.fixture
async def client(engine: Product) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=engine.url, api_key=engine.key, auth_token=None, max_retries=0, timeout=40
    ) as one:
        yield one


@pytest.mark.seen("anthropic (Python)", "a chat, whole", "a chat, streamed", "usage", "tokens counted")
async def test_whole_streamed_and_counted_are_the_same(client: anthropic.AsyncAnthropic) -> None:
    asked: dict[str, Any] = {"model": MODEL, "system": "Be brief.", "messages": COUNT}
    whole = await client.messages.create(**asked, max_tokens=12, extra_body=GREEDY)
    async with client.messages.stream(**asked, max_tokens=12, extra_body=GREEDY) as stream:
        streamed = await stream.get_final_message()
    assert text_of(streamed) == text_of(whole) != ""
    assert 1 < whole.usage.output_tokens <= 12
    assert (streamed.stop_reason, streamed.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    cut = await client.messages.create(**asked, max_tokens=2, extra_body=GREEDY)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)
    counted = await client.messages.count_tokens(**asked)
    assert counted.input_tokens == prompt_of(whole) == prompt_of(streamed)
    with_tools = await client.messages.count_tokens(
        **asked, tools=[{"name": "tell_mood", "input_schema": Mood.model_json_schema()}]
    )
    assert with_tools.input_tokens > counted.input_tokens


async def test_it_goes_on_from_how_the_answer_has_to_begin(client: anthropic.AsyncAnthropic) -> None:
    whole = await client.messages.create(model=MODEL, max_tokens=16, messages=COUNT, extra_body=GREEDY)
    said = text_of(whole)
    cut = said[: said.index(" ", len(said) // 2)]
    messages: list[MessageParam] = [*COUNT, {"role": "assistant", "content": cut}]
    rest = await client.messages.create(model=MODEL, max_tokens=16, messages=messages, extra_body=GREEDY)
    assert (cut + text_of(rest)).startswith(said)
    counted = await client.messages.count_tokens(model=MODEL, messages=messages)
    assert counted.input_tokens > prompt_of(whole)
    assert prompt_of(rest) > prompt_of(whole), "the beginning is of the prompt"
    assert rest.usage.output_tokens == 16


@pytest.mark.seen("anthropic (Python)", "tools")
async def test_a_tool_is_called_and_its_answer_read(client: anthropic.AsyncAnthropic) -> None:
    asked: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 100,
        "tools": [{"name": "tell_mood", "input_schema": Mood.model_json_schema()}],
    }
    messages: list[MessageParam] = [{"role": "user", "content": "How are you?"}]
    async with client.messages.stream(
        **asked, messages=messages, tool_choice={"type": "any"}, extra_body=GREEDY
    ) as stream:
        called = await stream.get_final_message()
    assert called.stop_reason == "tool_use"
    [use] = called.content
    assert use.type == "tool_use"
    Mood.model_validate(use.input)
    result: MessageParam = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "noted"}],
    }
    final = await client.messages.create(
        **asked, messages=[*messages, called.to_param(), result], tool_choice={"type": "none"}
    )
    assert final.stop_reason in ("end_turn", "max_tokens")


@pytest.mark.seen("anthropic (Python)", "an answer of a class")
async def test_an_answer_of_a_class(client: anthropic.AsyncAnthropic) -> None:
    parsed = await client.messages.parse(
        model=MODEL, max_tokens=60, messages=STORY, output_format=Mood, extra_body=GREEDY
    )
    assert isinstance(parsed.parsed_output, Mood)


@pytest.mark.seen("anthropic (Python)", "errors as its exceptions")
async def test_what_is_too_long_and_who_does_not_think(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > \d+ maximum"):
        await client.messages.create(model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "sea " * 600}])
    message = await client.messages.create(
        model=MODEL, max_tokens=4, messages=COUNT, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert [block.type for block in message.content] == ["text"]


@pytest.mark.seen("anthropic (Python)", "leaving frees the slot")
async def test_hanging_up_frees_the_slot(client: anthropic.AsyncAnthropic, engine: Product) -> None:
    async with client.messages.stream(model=MODEL, max_tokens=400, messages=STORY) as stream:
        await anext(aiter(stream.text_stream))
    await engine.until_busy(MODEL, 0, timeout_s=3)
    asking = asyncio.create_task(client.messages.create(model=MODEL, max_tokens=400, messages=STORY))
    await engine.until_busy(MODEL, 1, timeout_s=10)
    asking.cancel()
    await engine.until_busy(MODEL, 0, timeout_s=3)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def prompt_of(message: Any) -> int:
    """All tokens of the prompt, those that the engine still knew included."""
    return int(message.usage.input_tokens + message.usage.cache_read_input_tokens)
