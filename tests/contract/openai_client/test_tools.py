"""Tools with the official client: called, streamed in pieces that its own helper puts together, answered."""

import json

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from .conftest import MESSAGES, PLAIN


class Weather(BaseModel):
    """How the weather is somewhere."""

    city: str
    days: int


WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How the weather is somewhere.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    },
}
TIME: ChatCompletionToolParam = {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}}


async def test_a_tool_is_called(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=MESSAGES, tools=[WEATHER, TIME])
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert (call.id, call.function.name) == ("call_weather", "weather")
    assert json.loads(call.function.arguments) == {"city": "echo", "days": 3}


async def test_a_call_is_streamed_in_pieces(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="echo", messages=MESSAGES, tools=[WEATHER], stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    deltas = [call for choice in chunks for call in choice.delta.tool_calls or ()]
    assert (deltas[0].index, deltas[0].id, deltas[0].type) == (0, "call_weather", "function")
    assert all(delta.id is None for delta in deltas[1:])
    arguments = "".join(delta.function.arguments or "" for delta in deltas if delta.function)
    assert json.loads(arguments)["days"] == 3
    assert len(deltas) > 2
    assert chunks[-1].finish_reason == "tool_calls"


async def test_the_clients_own_helper_puts_a_call_together(client: openai.AsyncOpenAI) -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    async with client.chat.completions.stream(model="echo", messages=MESSAGES, tools=[tool]) as stream:
        events = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in events
    assert final.choices[0].message.tool_calls is not None
    [call] = final.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)
    assert call.function.parsed_arguments.city == "echo"


async def test_what_a_tool_said_goes_back(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model="echo", messages=MESSAGES, tools=[WEATHER])
    assert first.choices[0].message.tool_calls is not None
    messages: list[ChatCompletionMessageParam] = [
        *MESSAGES,
        first.choices[0].message.to_dict(),  # type: ignore[list-item]  # as the client's documentation does it
        {"role": "tool", "tool_call_id": first.choices[0].message.tool_calls[0].id, "content": "It rains."},
    ]
    answer = await client.chat.completions.create(model="echo", messages=messages, tools=[WEATHER])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("It rains.", "stop")


async def test_which_tool_is_for_the_caller_to_say(client: openai.AsyncOpenAI) -> None:
    create = client.chat.completions.create
    tools = [WEATHER, TIME]
    none = await create(model="echo", messages=MESSAGES, tools=tools, tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    assert none.choices[0].finish_reason == "stop"
    named = await create(
        model="echo", messages=MESSAGES, tools=tools, tool_choice={"type": "function", "function": {"name": "time"}}
    )
    assert named.choices[0].message.tool_calls is not None
    assert named.choices[0].message.tool_calls[0].id == "call_time"
    with pytest.raises(openai.BadRequestError) as unknown:
        await create(
            model="echo", messages=MESSAGES, tools=tools, tool_choice={"type": "function", "function": {"name": "x"}}
        )
    assert unknown.value.param == "tool_choice"
    with pytest.raises(openai.BadRequestError) as without:
        await create(model="echo", messages=MESSAGES, tool_choice="required")
    assert without.value.param == "tool_choice"


async def test_a_model_that_calls_no_tools_says_so(client: openai.AsyncOpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model=PLAIN, messages=MESSAGES, tools=[WEATHER], stream=stream)
        assert (refused.value.param, refused.value.code) == ("tools", "unsupported_parameter")
