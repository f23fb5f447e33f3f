"""What is asked for is understood, and what cannot be done is refused by name."""

import json
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.contracts.openai import ChatRequest
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.workers.inference import requests
from hyperinfer.workers.inference.backends import CHAT, JSON

USER = {"role": "user", "content": "Hi."}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def read(**fields: Any) -> ChatRequest:
    body = json.dumps({"messages": [USER], **fields}).encode()
    return requests.read(ProcessRequest(body=msgspec.Raw(body)))


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"items": schema}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user", "content": 3}]}, "messages[1].content"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"seed": "7"}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"logit_bias": []}, "logit_bias"),
        ({"n": 0}, "n"),
    ],
)
def test_a_wrong_type_or_value_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**fields)
    assert refused.value.details["param"] == param
    assert refused.value.message.startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"audio": {}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": SCHEMA}, "response_format"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": [{}]}]}, "messages[1].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0]"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as refused:
        requests.check(read(**fields), (CHAT,))
    assert refused.value.details["param"] == param
    assert refused.value.message.startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
        ({"logit_bias": {"word": 1}}, "logit_bias"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": deep(70)}, "response_format.json_schema.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"x": "y" * 70_000}}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        requests.check(read(**fields), (CHAT, JSON))
    assert not isinstance(refused.value, Unsupported)
    assert refused.value.details["param"] == param


def test_null_and_unknown_fields_are_as_good_as_none() -> None:
    nulls = dict.fromkeys(("tools", "functions", "function_call", "audio", "web_search_options", "n", "stop", "seed"))
    chat = read(**nulls, store=True, metadata={"a": "b"}, n_predict=5, grammar="root ::= x", unheard_of=[1])
    requests.check(chat, (CHAT,))


def test_everything_that_is_allowed_is_understood() -> None:
    chat = read(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ],
        temperature=0,
        top_p=1,
        max_tokens=5,
        max_completion_tokens=7,
        stop="x",
        seed=-3,
        presence_penalty=-2,
        frequency_penalty=2,
        logit_bias={"15": -100},
        response_format=deep(60),
        user="u",
        stream=True,
        stream_options={"include_usage": True},
        n=1,
        logprobs=False,
        modalities=["text"],
    )
    requests.check(chat, (CHAT, JSON))
    assert chat.limit_tokens == 7
    assert chat.stops == ("x",)
    assert chat.wants_usage
    assert requests.text_of(chat.messages[1]) == "ab"


def test_a_prompt_is_a_single_message_of_the_user() -> None:
    chat = requests.read(ProcessRequest(prompt="Hello"))
    assert [(message.role, message.content) for message in chat.messages] == [("user", "Hello")]


def test_a_request_without_anything_is_refused() -> None:
    with pytest.raises(BadRequest, match="body"):
        requests.read(ProcessRequest())
