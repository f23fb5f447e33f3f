"""The Responses API with the official client: whole, streamed, parsed, tools, and every way in which it ends."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseStreamEvent,
)
from pydantic import BaseModel

from .conftest import PLAIN, Product
from .test_formats import PNG, Recipe

TEXT = "one two three"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": "How the weather is somewhere.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
        "required": ["city", "days"],
    },
    "strict": False,
}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


class Weather(BaseModel):
    """How the weather is somewhere."""

    city: str
    days: int


async def streamed(client: openai.AsyncOpenAI, **asked: Any) -> list[ResponseStreamEvent]:
    stream = await client.responses.create(**{"model": "echo", "input": TEXT, "stream": True, **asked})
    return [event async for event in stream]


async def test_a_whole_response(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(model="echo", input=TEXT)
    assert response.output_text == TEXT
    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", "echo")
    assert (response.error, response.incomplete_details, response.previous_response_id) == (None, None, None)
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert (message.role, message.status) == ("assistant", "completed")
    assert message.id.startswith("msg_")
    assert response.created_at > 1_700_000_000
    assert response.completed_at is not None
    assert response.completed_at >= response.created_at
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (3, 3, 6)
    assert response.to_dict()["store"] is False
    Response.model_validate(response.to_dict(), strict=True)


async def test_a_streamed_response_is_the_same(client: openai.AsyncOpenAI) -> None:
    events = await streamed(client)
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(11))
    whole = await client.responses.create(model="echo", input=TEXT)
    last = events[-1]
    assert last.type == "response.completed"
    assert told(last.response) == told(whole)


def told(response: Response) -> dict[str, Any]:
    """A response without what is of one alone."""
    shown = response.to_dict()
    own = ("id", "created_at", "completed_at")
    items: Any = shown["output"]
    output = [{name: value for name, value in item.items() if name != "id"} for item in items]
    return {**{name: value for name, value in shown.items() if name not in own}, "output": output}


async def test_the_clients_own_helper_puts_a_stream_together(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="echo", input=TEXT) as stream:
        said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(said) == final.output_text == TEXT
    assert final.usage is not None
    assert final.usage.output_tokens == 3


def test_the_client_that_blocks(blocking: openai.OpenAI) -> None:
    assert blocking.responses.create(model="echo", input=TEXT).output_text == TEXT
    with blocking.responses.stream(model="echo", input=TEXT) as stream:
        assert stream.get_final_response().output_text == TEXT


async def test_a_conversation_of_items_of_every_kind(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="echo",
        instructions="Be short.",
        input=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "hello"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}],
            },
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "left "}, {"type": "input_text", "text": "right"}],
            },
        ],
    )
    assert response.output_text.split() == ["left", "right"]
    assert response.instructions == "Be short."


async def test_a_response_is_an_input(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model="echo", input=TEXT)
    asked: list[Any] = [
        {"role": "user", "content": TEXT},
        *first.output,
        {"role": "user", "content": "and then?"},
    ]
    assert (await client.responses.create(model="echo", input=asked)).output_text == "and then?"


@both
async def test_it_ends_where_it_shall(client: openai.AsyncOpenAI, stream: bool) -> None:
    if stream:
        *_, item, last = await streamed(client, max_output_tokens=2)
        assert last.type == "response.incomplete"
        assert item.type == "response.output_item.done"
        response = last.response
    else:
        response = await client.responses.create(model="echo", input=TEXT, max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "one two")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert [item.status for item in response.output if item.type == "message"] == ["incomplete"]
    assert response.completed_at is None


async def test_an_answer_is_parsed_into_a_class(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.parse(model="echo", input=TEXT, text_format=Recipe)
    assert isinstance(response.output_parsed, Recipe)
    assert response.text is not None
    assert response.text.format is not None
    assert response.text.format.type == "json_schema"
    async with client.responses.stream(model="echo", input=TEXT, text_format=Recipe) as stream:
        final = await stream.get_final_response()
    assert isinstance(final.output_parsed, Recipe)
    some = await client.responses.create(model="echo", input=TEXT, text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(some.output_text), dict)


@both
async def test_a_tool_is_called_and_answered(client: openai.AsyncOpenAI, stream: bool) -> None:
    if stream:
        events = await streamed(client, tools=[WEATHER])
        pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        assert len(pieces) > 1
        last = events[-1]
        assert last.type == "response.completed"
        response = last.response
    else:
        response = await client.responses.create(model="echo", input=TEXT, tools=[WEATHER])
    [call] = response.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.call_id, call.status) == ("weather", "call_weather", "completed")
    assert call.id is not None
    assert call.id.startswith("fc_")
    assert json.loads(call.arguments) == {"city": "echo", "days": 3}
    assert [tool.to_dict() for tool in response.tools] == [dict(WEATHER)]
    asked: list[Any] = [
        {"role": "user", "content": TEXT},
        *response.output,
        {"type": "function_call_output", "call_id": call.call_id, "output": "It rains."},
    ]
    answer = await client.responses.create(model="echo", input=asked, tools=[WEATHER])
    assert answer.output_text == "It rains."


async def test_arguments_are_parsed_into_a_class(client: openai.AsyncOpenAI) -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    async with client.responses.stream(model="echo", input=TEXT, tools=[tool]) as stream:
        final = await stream.get_final_response()
    [call] = final.output
    assert call.type == "function_call"
    assert isinstance(call.parsed_arguments, Weather)


async def test_which_tool_is_for_the_caller_to_say(client: openai.AsyncOpenAI) -> None:
    none = await client.responses.create(model="echo", input=TEXT, tools=[WEATHER], tool_choice="none")
    assert (none.output_text, none.tool_choice) == (TEXT, "none")
    named = await client.responses.create(
        model="echo", input=TEXT, tools=[WEATHER], tool_choice={"type": "function", "name": "weather"}
    )
    assert [item.type for item in named.output] == ["function_call"]


@both
async def test_how_likely_it_was(client: openai.AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    if stream:
        events = await streamed(client, **asked)
        told = [
            token.token for event in events if event.type == "response.output_text.delta" for token in event.logprobs
        ]
        assert "".join(told) == TEXT
        last = events[-1]
        assert last.type == "response.completed"
        response = last.response
    else:
        response = await client.responses.create(model="echo", input=TEXT, **asked)
    [message] = response.output
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    tokens = message.content[0].logprobs
    assert tokens is not None
    assert "".join(token.token for token in tokens) == TEXT
    assert all(token.logprob < 0 and token.top_logprobs and token.bytes for token in tokens)


async def test_what_was_asked_is_said_again(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="echo",
        input=TEXT,
        metadata={"a": "b"},
        temperature=0.5,
        top_p=0.9,
        user="somebody",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="flex",
        truncation="disabled",
        store=True,
        background=False,
        parallel_tool_calls=False,
        max_tool_calls=3,
        include=["reasoning.encrypted_content"],
        reasoning={"summary": "auto"},
        extra_body={"seed": 7, "vendor": {"anything": [1]}},
    )
    assert (response.metadata, response.temperature, response.top_p) == ({"a": "b"}, 0.5, 0.9)
    assert (response.user, response.safety_identifier, response.prompt_cache_key) == ("somebody", "s", "k")
    assert (response.service_tier, response.truncation, response.max_tool_calls) == ("flex", "disabled", 3)
    assert response.parallel_tool_calls is False
    assert response.to_dict()["store"] is False


async def test_noise_fills_events_up_where_it_is_asked_for(client: openai.AsyncOpenAI) -> None:
    events = await streamed(client, stream_options={"include_obfuscation": True})
    deltas: list[Any] = [event.to_dict() for event in events if event.type == "response.output_text.delta"]
    assert [len(one["delta"] + one["obfuscation"]) % 16 for one in deltas] == [0, 0, 0]
    assert not any("obfuscation" in event.to_dict() for event in await streamed(client))


@pytest.mark.seen("openai (Python)", "thoughts")
@both
async def test_what_a_model_thinks_is_an_item_before_its_answer(client: openai.AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"model": "thinker", "input": TEXT, "reasoning": {"effort": "high"}}
    if stream:
        events = await streamed(client, **asked)
        thought = "".join(event.delta for event in events if event.type == "response.reasoning_text.delta")
        assert thought == "This takes high effort."
        last = events[-1]
        assert last.type == "response.completed"
        response = last.response
    else:
        response = await client.responses.create(**asked)
    reasoning, message = response.output
    assert reasoning.type == "reasoning"
    assert reasoning.id.startswith("rs_")
    assert [part.text for part in reasoning.content or ()] == ["This takes high effort."]
    assert (message.type, response.output_text) == ("message", TEXT)
    assert response.reasoning is not None
    assert response.reasoning.effort == "high"
    again: list[Any] = [{"role": "user", "content": TEXT}, *response.output, {"role": "user", "content": "go on"}]
    assert (await client.responses.create(model="thinker", input=again)).output_text == "go on"


async def test_text_made_to_confuse_comes_through_as_it_is(client: openai.AsyncOpenAI) -> None:
    whole = await client.responses.create(model="confusing", input=TEXT)
    last = (await streamed(client, model="confusing"))[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == whole.output_text
    assert all(piece in whole.output_text for piece in ("\u2028", "data: [DONE]", "\x00", '{"error":{}}'))


# --- refusals and failures -------------------------------------------------------------------------------


async def refused(client: openai.AsyncOpenAI, kind: type[openai.APIStatusError], **changes: Any) -> Any:
    with pytest.raises(kind) as caught:
        await client.responses.create(**{"model": "echo", "input": TEXT, **changes})
    assert caught.value.request_id
    return caught.value


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [WEATHER, {"type": "custom", "name": "x"}]}, "tools[1].type"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://example.com"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"extra_body": {"response_format": {"type": "json_object"}}}, "response_format"),
        ({"extra_body": {"max_tokens": 5}}, "max_tokens"),
        ({"model": PLAIN, "tools": [WEATHER]}, "tools"),
        ({"model": PLAIN, "text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"model": PLAIN, "reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"model": PLAIN, "include": ["message.output_text.logprobs"]}, "include"),
        ({"text": {"verbosity": "high"}}, "text.verbosity"),
        (
            {
                "instructions": "Look.",
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]}
                ],
                "model": "eyes",
            },
            "input[0].content[0].image_url",
        ),
    ],
)
@both
async def test_what_cannot_be_done_is_named(
    client: openai.AsyncOpenAI, changes: dict[str, Any], param: str, stream: bool
) -> None:
    error = await refused(client, openai.BadRequestError, stream=stream, **changes)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    assert param in error.message


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": openai.omit}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "robot", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"include": ["everything"]}, "include[0]"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"model": 5}, "model"),
        ({"extra_body": {"seed": "x"}}, "seed"),
    ],
)
async def test_what_is_wrong_is_named(client: openai.AsyncOpenAI, changes: dict[str, Any], param: str) -> None:
    error = await refused(client, openai.BadRequestError, **changes)
    assert (error.param, error.type) == (param, "invalid_request_error")


@both
async def test_every_refusal_is_the_clients_exception(
    client: openai.AsyncOpenAI, product: Product, stream: bool
) -> None:
    unknown = await refused(client, openai.NotFoundError, model="nothing", stream=stream)
    assert unknown.code == "model_not_found"
    await refused(client.with_options(api_key="hi_wrong"), openai.AuthenticationError, stream=stream)
    long = await refused(client, openai.BadRequestError, model="narrow", input="word " * 20, stream=stream)
    assert (long.code, long.param) == ("context_length_exceeded", "input")
    key = await product.person(f"responding{stream}".lower(), requests_per_minute=1)
    limited = client.with_options(api_key=key)
    raw = await limited.responses.with_raw_response.create(model="echo", input=TEXT)
    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    over = await refused(limited, openai.RateLimitError, stream=stream)
    assert 0 < int(over.response.headers["retry-after"]) <= 60


async def test_a_stream_that_breaks_off_says_so_and_raises(client: openai.AsyncOpenAI) -> None:
    events: list[ResponseStreamEvent] = []
    stream = await client.responses.create(model="brittle", input=TEXT, stream=True)

    async def listen() -> None:
        async for event in stream:
            events.append(event)  # noqa: PERF401 - what came before the end is wanted, too

    with pytest.raises(openai.APIError) as broken:
        await listen()
    assert (broken.value.code, broken.value.type) == ("backend_failed", "server_error")
    last = events[-1]
    assert last.type == "response.failed"
    assert (last.response.status, last.response.output_text) == ("failed", TEXT)
    assert last.response.error is not None
    assert last.response.error.code == "server_error"
    assert last.response.error.message == broken.value.message


async def test_nothing_is_kept(client: openai.AsyncOpenAI) -> None:
    made = await client.responses.create(model="echo", input=TEXT)
    for call in (
        client.responses.retrieve(made.id),
        client.responses.delete(made.id),
        client.responses.cancel(made.id),
        client.responses.input_items.list(made.id),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            await call
        assert "not kept" in missing.value.message


@pytest.mark.seen("openai (Python)", "tokens counted")
async def test_an_input_is_counted(client: openai.AsyncOpenAI) -> None:
    counted = await client.responses.input_tokens.count(model="echo", input=TEXT, instructions="Be very short.")
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 6)
    with pytest.raises(openai.NotFoundError):
        await client.responses.input_tokens.count(model="nothing", input=TEXT)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.input_tokens.count(model="echo", input=TEXT, previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"


@both
async def test_leaving_frees_the_slot_within_a_second(
    client: openai.AsyncOpenAI, product: Product, stream: bool
) -> None:
    async def ask() -> None:
        answer = await client.responses.create(model="endless", input=TEXT, stream=stream)
        if stream:
            async for _ in answer:  # type: ignore[union-attr]  # a stream, then
                pass

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        await product.until_busy("endless", 1, timeout_s=5)
        asking.cancel()
    await product.until_busy("endless", 0, timeout_s=1)


@pytest.mark.seen("openai (Python)", "images")
@both
async def test_an_image_is_taken_by_a_model_that_sees(client: openai.AsyncOpenAI, stream: bool) -> None:
    shown: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
            ],
        }
    ]
    if stream:
        async with client.responses.stream(model="eyes", input=shown) as events:
            response: Response = await events.get_final_response()
    else:
        response = await client.responses.create(model="eyes", input=shown)
    assert response.output_text == "What is this?"
