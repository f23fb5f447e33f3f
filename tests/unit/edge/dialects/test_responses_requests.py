"""Requests for a response become chats: every field is accounted for, and what is refused is named as its sender knows it."""

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase, ResponseCreateParamsStreaming

from hyperinfer.contracts.openai import ChatRequest
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.openai_responses.errors import name_of
from hyperinfer.edge.dialects.openai_responses.fields import KNOWN, PASSED_OVER, REFUSED, TRANSLATED
from hyperinfer.edge.dialects.openai_responses.items import Origin
from hyperinfer.edge.dialects.openai_responses.reading import read
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import BadRequest, ContextExceeded, Overloaded, Unsupported

HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
PNG = "data:image/png;base64,AAAA"


def asked(**fields: Any) -> Wanted:
    return read(json.dumps({"input": "hi", **fields}).encode(), HEAD)


def chat(**fields: Any) -> Any:
    return json.loads(bytes(asked(**fields).request.body))


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        asked(**fields)
    return caught.value


# --- every field -----------------------------------------------------------------------------------------


def test_what_becomes_of_every_field_of_the_clients_is_known() -> None:
    assert set(ResponseCreateParamsBase.__annotations__) | set(ResponseCreateParamsStreaming.__annotations__) == KNOWN


def test_each_field_is_in_one_table_and_those_that_mean_something_are_read() -> None:
    assert len(KNOWN) == len(TRANSLATED) + len(PASSED_OVER) + len(REFUSED)
    read_here = set(ResponseRequest.__struct_fields__)
    assert TRANSLATED | REFUSED.keys() <= read_here <= KNOWN


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_is_refused_unless_it_asks_for_nothing(name: str) -> None:
    nothings: tuple[Any, ...] = (None, False, [])
    for nothing in nothings:
        asked(**{name: nothing})
    for something in (True, "x", {"id": "x"}, [1]):
        error = refused(**{name: something})
        assert isinstance(error, Unsupported)
        assert (error.details["param"], error.message) == (name, f"{name}: {REFUSED[name]}")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"truncation": "auto"}, "truncation"),
        ({"service_tier": "ultrafast"}, "service_tier"),
        ({"image": {"context_compression": "enabled"}}, "image.context_compression"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, "tools[0].defer_loading"),
        (
            {"tools": [{"type": "function", "name": "f", "allowed_callers": ["programmatic"]}]},
            "tools[0].allowed_callers",
        ),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice.type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1", "action": {}}]}, "input[0].type"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio", "data": ""}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file"}]}]},
            "input[0].output[0]",
        ),
        (
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_image", "image_url": PNG}],
                    }
                ]
            },
            "input[0].output[0]",
        ),
    ],
)
def test_what_there_is_not_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert isinstance(error, Unsupported)
    assert error.details["param"] == param
    assert error.message.startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"type": "message", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"type": "message", "role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "reasoning_text", "text": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": dict.fromkeys(map(str, range(17)), "v")}, "metadata"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"store": 1}, "store"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert not isinstance(error, Unsupported)
    assert error.details["param"] == param


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'{"input": "\xff"}', b'{"a":' * 5000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body, HEAD)


# --- the chat it comes to --------------------------------------------------------------------------------


def test_a_text_is_a_message() -> None:
    wanted = asked(model="m")
    assert json.loads(bytes(wanted.request.body)) == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert (wanted.request.kind, wanted.streamed) == ("chat", False)


def test_fields_are_translated() -> None:
    assert chat(
        model="m",
        instructions="Be short.",
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="fast",
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "json_object"}},
        parallel_tool_calls=False,
        store=True,
        metadata={"a": "b"},
        truncation="disabled",
        prompt_cache_retention="24h",
        image={"context_compression": "auto"},
    ) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hi"}],
        "max_completion_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "priority",
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_object"},
        "parallel_tool_calls": False,
    }


def test_a_stream_tells_its_usage() -> None:
    wanted = asked(stream=True)
    body = json.loads(bytes(wanted.request.body))
    assert wanted.streamed
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_fields_that_only_a_server_knows_go_on() -> None:
    body = chat(seed=7, top_k=40, stop=["x"], vendor={"deep": [1, {"a": None}]}, nothing=None)
    assert (body["seed"], body["top_k"], body["stop"], body["vendor"]) == (7, 40, ["x"], {"deep": [1, {"a": None}]})
    assert "nothing" not in body


def test_a_schema_is_a_format() -> None:
    wanted = {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True, "description": "d"}
    assert chat(text={"format": wanted})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": SCHEMA, "strict": True, "description": "d"},
    }
    assert "response_format" not in chat(text={"format": {"type": "text"}})


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"include": ["message.output_text.logprobs"]}, (True, None)),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 3}, (True, 3)),
        ({"top_logprobs": 3}, (True, 3)),
        ({"top_logprobs": 0}, (None, None)),
        ({"include": ["reasoning.encrypted_content", "file_search_call.results"]}, (None, None)),
    ],
)
def test_likelihoods_are_asked_for(fields: dict[str, Any], wanted: tuple[bool | None, int | None]) -> None:
    body = chat(**fields)
    assert (body.get("logprobs"), body.get("top_logprobs")) == wanted


def test_functions_are_tools() -> None:
    function = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    body = chat(
        tools=[{"type": "function", **function, "allowed_callers": ["direct"]}, {"type": "function", "name": "g"}],
        tool_choice={"type": "function", "name": "f"},
    )
    assert body["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "g"}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert chat(tools=[], tool_choice="none")["tool_choice"] == "none"


def call(call_id: str, name: str = "f") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": call_id,
        "name": name,
        "arguments": "{}",
        "status": "completed",
    }


def called(call_id: str, name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_calls_are_part_of_what_the_assistant_said_before() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}], "content": []}
    output = {"type": "function_call_output", "call_id": "a", "output": "1"}
    listed = {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]}
    items = [
        {"role": "user", "content": "go"},
        reasoning,
        call("a"),
        reasoning,
        call("b"),
        output,
        listed,
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "done", "annotations": []}],
        },
        call("c"),
    ]
    assert chat(input=items)["messages"] == [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [called("a"), called("b")]},
        {"role": "tool", "content": "1", "tool_call_id": "a"},
        {"role": "tool", "content": "2", "tool_call_id": "b"},
        {"role": "assistant", "content": "done", "tool_calls": [called("c")]},
    ]


def test_only_what_users_say_is_more_than_text() -> None:
    two = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    image = {"type": "input_image", "image_url": PNG, "detail": "original"}
    said = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    items = [
        {"role": "developer", "content": two},
        {"role": "user", "content": two[:1]},
        {"role": "user", "content": two},
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": said},
    ]
    assert [message["content"] for message in chat(input=items)["messages"]] == [
        "ab",
        "a",
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}],
        "ab",
    ]


@pytest.mark.parametrize("value", [b"on", b"off", None])
def test_the_cache_is_asked_as_the_header_says(value: bytes | None) -> None:
    head = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None, cache=value)
    assert read(b'{"input": "hi"}', head).request.cache == {b"on": True, b"off": False, None: None}[value]


# --- what the gateway refuses ----------------------------------------------------------------------------

ORIGINS = (
    Origin("instructions"),
    Origin("input[0]"),
    Origin("input[2]", ("input[2]", "input[4]")),
    Origin("input[5]"),
)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("messages", "input"),
        ("messages[0].content", "instructions"),
        ("messages[1].content", "input[0].content"),
        ("messages[1].content[3]", "input[0].content[3]"),
        ("messages[1].content[3].image_url.url", "input[0].content[3].image_url"),
        ("messages[2].tool_calls", "input[2]"),
        ("messages[2].tool_calls[1].function.arguments", "input[4].arguments"),
        ("messages[2].tool_calls[1].id", "input[4].call_id"),
        ("messages[2].tool_calls[9]", "input[2]"),
        ("messages[3].tool_call_id", "input[5].call_id"),
        ("messages[99].content", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("response_format", "text.format"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("tools[3].function.parameters", "tools[3].parameters"),
        ("tools", "tools"),
        ("reasoning_effort", "reasoning.effort"),
        ("verbosity", "text.verbosity"),
        ("logprobs", "include"),
        ("seed", "seed"),
        ("messages_of_mine", "messages_of_mine"),
    ],
)
def test_fields_of_the_chat_are_called_as_the_sender_knows_them(theirs: str, ours: str) -> None:
    assert name_of(theirs, ORIGINS) == ours


def test_a_refusal_is_said_in_our_words() -> None:
    items = [{"type": "reasoning"}, {"role": "user", "content": "x"}]
    wanted = asked(input=items, instructions="i")
    long = wanted.reworded(ContextExceeded("messages: too long.", param="messages", prompt_tokens=9))
    assert isinstance(long, ContextExceeded)
    assert (long.message, long.details) == ("input: too long.", {"param": "input", "prompt_tokens": 9})
    there = wanted.reworded(Unsupported("messages[1].content: No.", param="messages[1].content"))
    assert there.details["param"] == "input[1].content"
    full = Overloaded("Full.", retry_after_s=1)
    assert wanted.reworded(full) is full


def test_a_body_that_is_right_for_a_chat_is_what_a_worker_reads() -> None:
    body = asked(
        input=[{"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}, call("a")], stream=True
    )
    msgspec.json.decode(bytes(body.request.body), type=ChatRequest)
