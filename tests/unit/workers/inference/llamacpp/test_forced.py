"""A tool that has to be called: what the model is held to, and its JSON as OpenAI's deltas however it is cut."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.contracts.openai import ChunkChoice, Delta, Function, FunctionTool
from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference.backends.llamacpp.wire import forced

CITY = {"type": "object", "properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"type": "string"}}}
WEATHER = FunctionTool(Function(name="weather", parameters=CITY))
TIME = FunctionTool(Function(name="time"))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def said(
    reading: forced.CallReader, text: str, sizes: Sequence[int], reason: str = "stop"
) -> tuple[dict[str, Any], str]:
    """The call that a client puts together, and the reason it is told."""
    call: dict[str, Any] = {"arguments": ""}
    pieces: list[ChunkChoice] = []
    at = 0
    for size in (*sizes, len(text)):
        pieces += reading.take([ChunkChoice(Delta(content=text[at : at + size]))])
        at += size
    rest, told = reading.end(reason)
    for piece in (*pieces, *rest):
        [delta] = msgspec.json.decode(bytes(piece.delta.tool_calls))  # type: ignore[arg-type]  # always set here
        assert delta["index"] == 0
        call |= {name: delta[name] for name in ("id", "type") if name in delta}
        call |= {"name": delta["function"]["name"]} if "name" in delta["function"] else {}
        call["arguments"] += delta["function"]["arguments"]
    return call, told


def test_one_tool_is_held_to_its_arguments() -> None:
    assert forced.schema([WEATHER]) == {**CITY, "additionalProperties": False}
    assert forced.schema([TIME]) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_several_are_told_apart_by_name_and_their_references_still_hold() -> None:
    schema = forced.schema([WEATHER, TIME])
    assert [call["properties"]["name"] for call in schema["anyOf"]] == [{"const": "weather"}, {"const": "time"}]
    assert schema["anyOf"][0]["properties"]["arguments"] == {"$ref": "#/$defs/0"}
    assert schema["$defs"]["0"]["properties"]["city"] == {"$ref": "#/$defs/0/$defs/c"}


@given(
    arguments=st.dictionaries(st.text(max_size=5), values, max_size=4), sizes=st.lists(st.integers(0, 9), max_size=30)
)
def test_the_arguments_of_one_tool_arrive(arguments: dict[str, Any], sizes: list[int]) -> None:
    call, told = said(forced.CallReader([WEATHER]), json.dumps(arguments, indent=1), sizes)
    assert json.loads(call["arguments"]) == arguments
    assert (call["name"], call["type"], told) == ("weather", "function", "tool_calls")
    assert call["id"].startswith("call_")


@given(
    arguments=st.dictionaries(st.text(max_size=5), values, max_size=4),
    sizes=st.lists(st.integers(0, 9), max_size=30),
    indent=st.sampled_from([None, 2]),
)
def test_the_one_of_several_that_is_called_arrives(
    arguments: dict[str, Any], sizes: list[int], indent: int | None
) -> None:
    text = json.dumps({"name": "time", "arguments": arguments}, indent=indent) + "\n"
    call, told = said(forced.CallReader([WEATHER, TIME]), text, sizes)
    assert json.loads(call["arguments"]) == arguments
    assert (call["name"], told) == ("time", "tool_calls")


def test_a_call_that_is_cut_by_its_limit_says_so() -> None:
    call, told = said(forced.CallReader([WEATHER, TIME]), '{"name": "time", "arguments": {"a": {}', [], "length")
    assert (call["name"], call["arguments"], told) == ("time", '{"a": {}', "length")


@pytest.mark.parametrize("text", ["", '{"name": "time"', '{"name": "time", "arguments": {"a": 1'])
def test_a_call_without_its_end_has_failed(text: str) -> None:
    with pytest.raises(BackendFailed):
        said(forced.CallReader([WEATHER, TIME]), text, [])


def test_text_that_is_no_call_has_failed() -> None:
    with pytest.raises(BackendFailed):
        said(forced.CallReader([WEATHER, TIME]), "x" * 5000, [])
