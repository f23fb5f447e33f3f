"""What is asked for is understood, and what cannot be done is refused by name."""

import json
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.contracts.openai import ChatRequest, CompletionRequest
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.workers.inference import requests
from hyperinfer.workers.inference.backends import (
    BIAS,
    CHAT,
    CHOICES,
    COMPLETION,
    CONTINUES,
    EMBEDDING,
    JSON,
    LOGPROBS,
    REASONING,
    TOKENS,
    TOOLS,
    VISION,
)
from hyperinfer.workers.inference.requests import Request
from hyperinfer.workers.inference.requests.split import indexes

USER = {"role": "user", "content": "Hi."}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
SAID = {"role": "tool", "content": "12", "tool_call_id": "c1"}
PNG = "data:image/png;base64,iVBORw0KGgoAAAA="
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def read(**fields: Any) -> Request:
    return of_kind("chat", **{"messages": [USER], **fields})


def of_kind(kind: Any, **fields: Any) -> Request:
    return requests.read(ProcessRequest(body=msgspec.Raw(json.dumps(fields).encode())), kind)


def check(request: Request, *capabilities: str, continues: bool = False) -> None:
    request.check(capabilities, continues=continues)


IMAGE_AT = "messages[0].content[0].image_url.url"


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def deep_tool(levels: int) -> dict[str, Any]:
    parameters = deep(levels)["json_schema"]["schema"]
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


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
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"repeat_penalty": -0.1}, "repeat_penalty"),
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
        ({"tools": [TOOL]}, "tools"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"verbosity": "high"}, "verbosity"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"audio": {}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": SCHEMA}, "response_format"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, CALLED]}, "messages[1].tool_calls"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0]"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as refused:
        check(read(**fields), CHAT)
    assert refused.value.details["param"] == param
    assert refused.value.message.startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 100}, "n"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": [deep_tool(70)]}, "tools[0].function.parameters"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}]}, "messages[0].tool_calls"),
        ({"messages": [image("data:text/html;base64,AAAA")]}, IMAGE_AT),
        ({"messages": [image("data:image/png,AAAA")]}, IMAGE_AT),
        ({"messages": [image("data:image/png;base64")]}, IMAGE_AT),
        ({"messages": [image("data:image/png;base64,A*A")]}, IMAGE_AT),
        ({"messages": [image("data:image/png;base64,AAAA")]}, IMAGE_AT),
        ({"messages": [image("data:image/png;base64," + "A" * 9_000_000)]}, IMAGE_AT),
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
        check(read(**fields), CHAT, JSON, BIAS, TOOLS, LOGPROBS, VISION)
    assert not isinstance(refused.value, Unsupported)
    assert refused.value.details["param"] == param


def test_null_and_unknown_fields_are_as_good_as_none() -> None:
    nulls = dict.fromkeys(("tools", "functions", "function_call", "audio", "web_search_options", "n", "stop", "seed"))
    chat = read(**nulls, store=True, metadata={"a": "b"}, n_predict=5, grammar="root ::= x", unheard_of=[1])
    check(chat, CHAT)


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
    check(chat, CHAT, JSON, BIAS)
    asked = chat.asked
    assert isinstance(asked, ChatRequest)
    assert asked.limit_tokens == 7
    assert asked.stops == ("x",)
    assert asked.wants_usage
    assert requests.text_of(asked.messages[1]) == "ab"


ALL = (CHAT, COMPLETION, EMBEDDING, JSON, TOOLS, VISION, LOGPROBS, BIAS, REASONING, TOKENS, CONTINUES)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        ({"messages": [image("http://127.0.0.1/x.png")]}, IMAGE_AT),
        ({"messages": [image("file:///etc/passwd")]}, IMAGE_AT),
        ({"messages": [image("/etc/passwd")]}, IMAGE_AT),
    ],
)
def test_some_things_no_model_here_can_do(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as refused:
        check(read(**fields), *ALL)
    assert refused.value.details["param"] == param
    assert "passwd" not in refused.value.message


def test_a_model_that_can_is_asked() -> None:
    request = read(
        messages=[USER, CALLED, SAID, image(PNG)],
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        n=3,
        logprobs=True,
        top_logprobs=2,
        reasoning_effort="high",
        logit_bias={"1": 5},
    )
    check(request, *ALL)


def test_a_model_is_asked_only_for_what_it_is_for() -> None:
    for request in (read(), of_kind("completion", prompt="x"), of_kind("embedding", input="x")):
        with pytest.raises(Unsupported) as refused:
            check(request)
        assert refused.value.details["param"] == "model"
        check(request, *ALL)


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        ("completion", {"prompt": ["a", 1]}, "prompt"),
        ("completion", {"prompt": []}, "prompt"),
        ("completion", {"prompt": ["a"] * 20, "n": 2}, "n"),
        ("completion", {"prompt": "a", "best_of": 3}, "best_of"),
        ("completion", {"prompt": "a", "suffix": "b"}, "suffix"),
        ("completion", {"prompt": "a", "echo": True, "logprobs": 1}, "echo"),
        ("completion", {"prompt": [1, 2], "echo": True}, "echo"),
        ("completion", {"prompt": "a", "logprobs": 6}, "logprobs"),
        ("completion", {"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
        ("embedding", {"input": [""]}, "input"),
        ("embedding", {"input": ["a"] * 2049}, "input"),
        ("embedding", {"input": "a", "dimensions": 3}, "dimensions"),
        ("embedding", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_texts_are_refused_by_name_too(kind: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check(of_kind(kind, **fields), *ALL)
    assert refused.value.details["param"] == param


def test_tokens_by_number_are_for_models_that_take_them() -> None:
    for kind, field in (("completion", "prompt"), ("embedding", "input")):
        for tokens in ([1, 2], [[1, 2], [3]]):
            check(of_kind(kind, **{field: tokens}), *ALL)
            with pytest.raises(Unsupported):
                check(of_kind(kind, **{field: tokens}), COMPLETION, EMBEDDING)


@pytest.mark.parametrize(
    "fields",
    [{"n": 2}, {"tools": [TOOL]}, {"response_format": SCHEMA}, {"logprobs": True}],
)
def test_what_reaches_over_the_whole_answer_is_not_gone_on_with(fields: dict[str, Any]) -> None:
    check(read(), *ALL, continues=True)
    with pytest.raises(Unsupported):
        check(read(**fields), *ALL, continues=True)
    with pytest.raises(Unsupported):
        check(read(), CHAT, continues=True)


def test_several_answers_are_asked_for_one_by_one_each_with_a_seed_of_its_own() -> None:
    jobs = requests.split(read(n=3, seed=7, unheard_of=[1]), "m", (CHAT,))
    assert [job.request.seed for job in jobs] == [7, 8, 9]
    assert all(job.request.n == 1 for job in jobs)
    for job in jobs:
        told = json.loads(job.body)
        assert (told["n"], told["seed"], told["unheard_of"]) == (1, job.request.seed, [1])
    [job] = requests.split(read(n=3), "m", (CHAT, CHOICES))
    assert (job.request.n, json.loads(job.body)["n"]) == (3, 3)


def test_several_prompts_are_gone_on_with_one_by_one() -> None:
    jobs = requests.split(of_kind("completion", prompt=["a", "b"], n=2), "m", (COMPLETION,))
    assert [job.request.prompt for job in jobs if isinstance(job.request, CompletionRequest)] == ["a", "a", "b", "b"]
    jobs = requests.split(of_kind("completion", prompt=[[1], [2, 3]], n=2), "m", (COMPLETION, CHOICES))
    assert [json.loads(job.body)["prompt"] for job in jobs] == [[1], [2, 3]]
    assert [index for index, _ in indexes(jobs)] == [0, 2]
    for prompt, single in ((["a"], "a"), ([[1, 2]], (1, 2)), ([1, 2], (1, 2))):
        [job] = requests.split(of_kind("completion", prompt=prompt), "m", (COMPLETION,))
        assert isinstance(job.request, CompletionRequest)
        assert job.request.prompt == single


def test_a_request_that_needs_no_change_goes_as_it_came() -> None:
    request = read(seed=1)
    [job] = requests.split(request, "m", (CHAT,))
    assert job.body is request.body
    assert json.loads(job.limited(5).body)["max_tokens"] == 5
    [job] = requests.split(read(max_completion_tokens=9), "m", (CHAT,))
    assert job.limited(5).request.limit_tokens == 5


def test_a_prompt_is_a_single_message_of_the_user() -> None:
    request = requests.read(ProcessRequest(prompt="Hello"), "chat")
    assert isinstance(request.asked, ChatRequest)
    assert [(message.role, message.content) for message in request.asked.messages] == [("user", "Hello")]


def test_a_request_without_anything_is_refused() -> None:
    with pytest.raises(BadRequest, match="body"):
        requests.read(ProcessRequest(), "chat")


@pytest.mark.parametrize("field", [b'"\xff": 1', b'"x": "\xed\xa0\x80"', b'"x": {"\x83": 1}'])
def test_a_body_that_is_not_utf8_is_refused_also_where_nobody_here_looks_at_it(field: bytes) -> None:
    body = msgspec.Raw(b'{"messages": [{"role": "user", "content": "Hi."}], %b}' % field)
    with pytest.raises(BadRequest, match="not UTF-8"):
        requests.read(ProcessRequest(body=body), "chat")
