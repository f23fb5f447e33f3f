"""The official client against the product: messages whole and streamed, and all that may be asked of them."""

import base64
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, TextBlock, ThinkingBlock
from pydantic import BaseModel

from .conftest import MESSAGES, TEXT

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()


class City(BaseModel):
    name: str


async def test_a_whole_message(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(model="echo", max_tokens=64, messages=MESSAGES)
    assert (message.type, message.role, message.model) == ("message", "assistant", "echo")
    assert message.id.startswith("msg_")
    [block] = message.content
    assert isinstance(block, TextBlock)
    assert (block.text, message.stop_reason, message.stop_sequence) == (TEXT, "end_turn", None)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 3)
    assert message.usage.cache_read_input_tokens == 0


async def test_a_streamed_message(client: anthropic.AsyncAnthropic) -> None:
    stream = await client.messages.create(model="echo", max_tokens=64, messages=MESSAGES, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    first, last = events[0], events[-2]
    assert first.type == "message_start"
    assert first.message.id.startswith("msg_")
    assert (first.message.model, first.message.content, first.message.stop_reason) == ("echo", [], None)
    assert first.message.usage.input_tokens > 0
    assert last.type == "message_delta"
    assert (last.delta.stop_reason, last.usage.input_tokens, last.usage.output_tokens) == ("end_turn", 3, 3)


async def test_the_clients_own_helper_puts_a_stream_together(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model="echo", max_tokens=64, messages=MESSAGES) as stream:
        said = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert "".join(said) == TEXT
    whole = await client.messages.create(model="echo", max_tokens=64, messages=MESSAGES)
    assert [block.to_dict() for block in final.content] == [block.to_dict() for block in whole.content]
    assert (final.stop_reason, final.usage.to_dict()) == (whole.stop_reason, whole.usage.to_dict())


@pytest.mark.seen("anthropic (Python)", "a system prompt", "a conversation")
async def test_a_system_prompt_turns_and_blocks(client: anthropic.AsyncAnthropic) -> None:
    messages: list[MessageParam] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": [{"type": "text", "text": "left", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [{"type": "text", "text": "right"}]},
    ]
    message = await client.messages.create(
        model="echo",
        max_tokens=64,
        system=[{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}],
        messages=messages,
    )
    assert said(message) == "left\nright"
    assert message.usage.input_tokens == 6, "the turns of one role are one message"


@pytest.mark.seen("anthropic (Python)", "stop texts")
async def test_an_answer_ends_where_it_shall(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(model="echo", max_tokens=2, messages=MESSAGES)
    assert (said(message), message.stop_reason) == ("one two", "max_tokens")
    message = await client.messages.create(
        model="echo", max_tokens=64, messages=MESSAGES, stop_sequences=["nothing", " three"]
    )
    assert (said(message), message.stop_reason, message.stop_sequence) == ("one two", "stop_sequence", " three")
    async with client.messages.stream(
        model="echo", max_tokens=64, messages=MESSAGES, stop_sequences=[" two"]
    ) as stream:
        message = await stream.get_final_message()
    assert (said(message), message.stop_reason, message.stop_sequence) == ("one", "stop_sequence", " two")


async def test_an_answer_goes_on_from_how_it_has_to_begin(client: anthropic.AsyncAnthropic) -> None:
    messages: list[MessageParam] = [*MESSAGES, {"role": "assistant", "content": "one"}]
    message = await client.messages.create(model="echo", max_tokens=64, messages=messages)
    assert said(message) == " two three"
    async with client.messages.stream(model="echo", max_tokens=64, messages=messages) as stream:
        assert said(await stream.get_final_message()) == " two three"
    with pytest.raises(anthropic.BadRequestError, match=r"messages: .*go on with"):
        await client.messages.create(model="confusing", max_tokens=64, messages=messages)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_there_and_back(client: anthropic.AsyncAnthropic, streamed: bool) -> None:
    asked: dict[str, Any] = {
        "model": "echo",
        "max_tokens": 64,
        "tools": [{"name": "city", "description": "Finds a city.", "input_schema": City.model_json_schema()}],
    }

    async def answer(messages: list[MessageParam]) -> anthropic.types.Message:
        if not streamed:
            whole: anthropic.types.Message = await client.messages.create(**asked, messages=messages)
            return whole
        async with client.messages.stream(**asked, messages=messages) as stream:
            return await stream.get_final_message()

    called = await answer(MESSAGES)
    assert called.stop_reason == "tool_use"
    [use] = called.content
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("city", {"name": "echo"})
    final = await answer(
        [
            *MESSAGES,
            called.to_param(),
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "Oslo"}]}
                ],
            },
        ]
    )
    assert (said(final), final.stop_reason) == ("Oslo", "end_turn")
    failed = await answer(
        [
            *MESSAGES,
            called.to_param(),
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "no net", "is_error": True}],
            },
        ]
    )
    assert said(failed) == "Error: no net"


async def test_which_tool_is_called(client: anthropic.AsyncAnthropic) -> None:
    async def called(choice: Any) -> list[str]:
        message = await client.messages.create(
            model="echo",
            max_tokens=64,
            messages=MESSAGES,
            tools=[{"name": name, "input_schema": {"type": "object"}} for name in ("first", "second")],
            tool_choice=choice,
        )
        return [block.name for block in message.content if block.type == "tool_use"]

    assert await called({"type": "tool", "name": "second", "disable_parallel_tool_use": True}) == ["second"]
    assert await called({"type": "any"}) == ["first"]
    assert await called({"type": "auto"}) == ["first"]
    assert await called({"type": "none"}) == []


async def test_an_answer_of_a_class(client: anthropic.AsyncAnthropic) -> None:
    parsed = await client.messages.parse(model="echo", max_tokens=64, messages=MESSAGES, output_format=City)
    assert parsed.parsed_output == City(name="echo")
    async with client.messages.stream(model="echo", max_tokens=64, messages=MESSAGES, output_format=City) as stream:
        assert (await stream.get_final_message()).parsed_output == City(name="echo")


@pytest.mark.seen("anthropic (Python)", "thoughts")
@pytest.mark.parametrize(
    ("thinking", "effort", "thoughts"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, None, "This takes low effort."),
        ({"type": "enabled", "budget_tokens": 30_000}, None, "This takes high effort."),
        ({"type": "adaptive"}, "medium", "This takes medium effort."),
        ({"type": "adaptive", "display": "omitted"}, "max", ""),
        ({"type": "adaptive"}, None, None),
        ({"type": "disabled"}, "high", None),
    ],
)
async def test_thinking(client: anthropic.AsyncAnthropic, thinking: Any, effort: Any, thoughts: str | None) -> None:
    asked: dict[str, Any] = {"max_tokens": 64, "messages": MESSAGES, "thinking": thinking}
    if effort:
        asked["output_config"] = {"effort": effort}
    whole = await client.messages.create(model="thinker", **asked)
    async with client.messages.stream(model="thinker", **asked) as stream:
        streamed = await stream.get_final_message()
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    found = [block for block in whole.content if isinstance(block, ThinkingBlock)]
    assert [block.thinking for block in found] == ([] if thoughts is None else [thoughts])
    assert all(block.signature for block in found)
    assert said(whole) == TEXT
    again = await client.messages.create(model="echo", **asked | {"messages": [*MESSAGES, whole.to_param(), *MESSAGES]})
    assert said(again) == TEXT, "models that cannot think answer without, and thoughts may come back"


@pytest.mark.seen("anthropic (Python)", "images")
async def test_images(client: anthropic.AsyncAnthropic) -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    messages: list[MessageParam] = [{"role": "user", "content": [image, {"type": "text", "text": TEXT}]}]
    message = await client.messages.create(model="eyes", max_tokens=64, messages=messages)
    assert said(message) == TEXT
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]: This model reads text only"):
        await client.messages.create(model="echo", max_tokens=64, messages=messages)
    elsewhere: Any = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    with pytest.raises(
        anthropic.BadRequestError, match=r"messages\[0\].content\[0\].source: Images are taken as base64"
    ):
        await client.messages.create(model="eyes", max_tokens=64, messages=[{"role": "user", "content": [elsewhere]}])


async def test_tokens_are_counted_as_they_are_used(client: anthropic.AsyncAnthropic) -> None:
    counted = await client.messages.count_tokens(model="echo", system="Be short.", messages=MESSAGES)
    message = await client.messages.create(model="echo", max_tokens=9, system="Be short.", messages=MESSAGES)
    assert counted.input_tokens == message.usage.input_tokens == 5
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.count_tokens(model="nothing", messages=MESSAGES)
    beta = await client.beta.messages.count_tokens(model="echo", messages=[{"role": "user", "content": "a b"}])
    assert beta.input_tokens == 2


async def test_the_beta_form_is_the_same(client: anthropic.AsyncAnthropic) -> None:
    message = await client.beta.messages.create(
        model="echo",
        max_tokens=64,
        messages=[{"role": "user", "content": TEXT}],
        betas=["interleaved-thinking-2025-05-14", "context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        metadata={"user_id": "user_1"},
        service_tier="auto",
    )
    assert [block.text for block in message.content if block.type == "text"] == [TEXT]


@pytest.mark.seen("anthropic (Python)", "models")
async def test_models(client: anthropic.AsyncAnthropic) -> None:
    names = [model.id async for model in client.models.list(limit=2)]
    assert names == sorted(names)
    assert {"echo", "thinker", "org/plain:1b"} <= set(names)
    model = await client.models.retrieve("org/plain:1b")
    assert (model.type, model.id, model.display_name, model.max_input_tokens) == (
        "model",
        "org/plain:1b",
        "org/plain:1b",
        8192,
    )
    assert model.created_at.year > 2020
    page = await client.models.list(before_id=names[3], limit=2)
    assert [model.id for model in page.data] == names[1:3]


def test_the_client_that_blocks(blocking: anthropic.Anthropic) -> None:
    assert said(blocking.messages.create(model="echo", max_tokens=64, messages=MESSAGES)) == TEXT
    with blocking.messages.stream(model="echo", max_tokens=64, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == TEXT
    assert blocking.messages.count_tokens(model="echo", messages=MESSAGES).input_tokens == 3


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")
