"""Anthropic's requests as chats: what becomes of every field, and what is refused by name."""

import json
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsBase as Params

from hyperinfer.contracts.gateway import Infer
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.anthropic import errors
from hyperinfer.edge.dialects.anthropic.read import read
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import (
    BadRequest,
    Conflict,
    ContextExceeded,
    DeadlineExceeded,
    Forbidden,
    HyperinferError,
    InternalError,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unsupported,
)

HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="req_1", remote=None)
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
TOOL = {"name": "f", "input_schema": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def wanted(**fields: Any) -> Wanted:
    body = {"model": "m", "max_tokens": 5, "messages": HI} | fields
    return read(json.dumps({name: value for name, value in body.items() if value is not ...}).encode(), HEAD)


def asked(**fields: Any) -> Infer:
    return wanted(**fields).request


def chat(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(asked(**fields).body))
    return found


BARE = {"model": "m", "max_tokens": 5, "messages": HI}

BECOMES: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "cache_control": [({"type": "ephemeral"}, {})],
    "diagnostics": [({"previous_message_id": None}, {})],
    "inference_geo": [(None, {}), ("global", {})],
    "max_tokens": [(7, {"max_tokens": 7})],
    "messages": [(HI, {"messages": HI})],
    "metadata": [({"user_id": "u"}, {"user": "u"}), ({}, {}), ({"user_id": None}, {})],
    "model": [("n", {"model": "n"}), (..., {"model": ...})],
    "output_config": [
        ({}, {}),
        ({"effort": "max"}, {}),
        (
            {"format": {"type": "json_schema", "schema": SCHEMA}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        ),
    ],
    "service_tier": [("auto", {}), ("standard_only", {})],
    "speed": [("standard", {}), ("fast", {})],
    "stop_sequences": [(["a", "b"], {"stop": ["a", "b"]}), ([], {})],
    "stream": [(False, {}), (True, {"stream": True, "stream_options": {"include_usage": True}})],
    "system": [
        ("s", {"messages": [{"role": "system", "content": "s"}, *HI]}),
        ([{"type": "text", "text": "s"}, {"type": "text", "text": "t", "cache_control": None}],
         {"messages": [{"role": "system", "content": "s\nt"}, *HI]}),
        ([], {}),
    ],
    "temperature": [(0.5, {"temperature": 0.5}), (1, {"temperature": 1.0})],
    "thinking": [
        ({"type": "disabled"}, {"reasoning_effort": "none"}),
        ({"type": "adaptive"}, {}),
        ({"type": "between_tools"}, {}),
        ({"type": "enabled", "budget_tokens": 1024}, {}),
    ],
    "tool_choice": [({"type": "auto"}, {"tool_choice": "auto"}), ({"type": "none"}, {"tool_choice": "none"})],
    "tools": [
        ([TOOL], {"tools": [FUNCTION]}),
        ([TOOL | {"type": "custom", "cache_control": {"type": "ephemeral"}, "eager_input_streaming": True,
                  "defer_loading": False, "allowed_callers": ["direct"]}], {"tools": [FUNCTION]}),
        ([], {}),
    ],
    "top_k": [(40, {"top_k": 40})],
    "top_p": [(0.9, {"top_p": 0.9})],
    # headers, which the client writes among the fields
    "user_profile_id": [("p", {})],
    "workspace_id": [("w", {})],
    "betas": [(["b"], {})],
    # of the beta alone
    "billing_policy": [({"type": "billing_policy", "bill_to": "self"}, {})],
    "context_management": [({"edits": [{"type": "clear_tool_uses_20250919"}]}, {})],
    "fallback_credit_token": [("t", {})],
    "fallbacks": [([{"model": "n"}], {})],
    "mcp_servers": [([], {}), (None, {})],
    "output_format": [
        (
            {"type": "json_schema", "schema": SCHEMA},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        )
    ],
    "container": [(None, {})],
    "compaction": [(None, {})],
    "thread": [(None, {})],
}  # fmt: skip
"""What each field changes in the chat, for some of its values; nothing of one that is tolerated."""

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"container": "c_1"}, "container"),
    ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, "mcp_servers"),
    ({"compaction": {"type": "x"}}, "compaction"),
    ({"thread": {"type": "create"}}, "thread"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
    ({"tools": [TOOL | {"allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
    ({"messages": [{"role": "user", "content": [PNG | {"source": {"type": "url", "url": "https://x/a.png"}}]}]},
     "messages[0].content[0].source"),
    ({"messages": [{"role": "user", "content": [PNG | {"source": {"type": "file", "file_id": "f"}}]}]},
     "messages[0].content[0].source"),
    ({"messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}]}]},
     "messages[0].content[0].source"),
    ({"messages": [{"role": "user", "content": [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"},
         "citations": {"enabled": True}}]}]}, "messages[0].content[0].citations"),
]  # fmt: skip

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": ...}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "5"}, "max_tokens"),
    ({"messages": ...}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": []}]}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "server_tool_use"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "assistant", "content": [PNG]}]}, "messages[0].content[0]"),
    ({"messages": [*HI, {"role": "system", "content": [PNG]}]}, "messages[1].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}]},
     "messages[0].content[0]"),
    ({"messages": [*HI, {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
     "messages[1].content[0]"),
    ({"messages": [*HI, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}, *HI]}, "messages[1].content[0].input"),
    ({"messages": [*HI, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": "f", "input": {}}]}]}, "messages[1]"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ({"system": {"text": "s"}}, "system"),
    ({"system": [PNG]}, "system[0].type"),
    ({"temperature": 1.5}, "temperature"),
    ({"top_p": 2}, "top_p"),
    ({"top_k": -1}, "top_k"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"stop_sequences": [""]}, "stop_sequences[0]"),
    ({"stream": "yes"}, "stream"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [TOOL | {"name": "f g"}]}, "tools[0].name"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": True}, "thinking"),
    ({"output_config": {"effort": "enormous"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.type"),
    ({"output_config": {"format": {"schema": {}}}}, "output_config.format.type"),
    ({"system": [{"text": "s"}]}, "system[0].type"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
]  # fmt: skip


def test_every_field_of_the_client_is_in_a_table() -> None:
    fields = {*Params.__annotations__, *BetaParams.__annotations__, "stream"}
    assert fields | {"temperature", "top_k", "top_p", "output_format"} == set(BECOMES)


@pytest.mark.parametrize(
    ("name", "value", "changes"), [(name, *case) for name, cases in BECOMES.items() for case in cases]
)
def test_what_becomes_of_each_field(name: str, value: Any, changes: dict[str, Any]) -> None:
    expected = {field: said for field, said in (BARE | changes).items() if said is not ...}
    assert chat(**{name: value}) == expected


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_what_nobody_here_can_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as refused:
        asked(**fields)
    assert refused.value.details["param"] == param
    assert refused.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(("fields", "param"), WRONG)
def test_what_makes_no_sense_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(**fields)
    assert refused.value.details["param"] == param
    assert param.partition("[")[0] in refused.value.message


def test_a_conversation_with_everything_in_it() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "look"}, PNG, {"type": "text", "text": "here"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.50}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}, PNG]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
        {"role": "user", "content": "well?"},
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": [
            {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "D"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "E"}]}},
            {"type": "document", "source": {"type": "content", "content": "F"}},
            {"type": "search_result", "source": "S", "title": "R", "content": [{"type": "text", "text": "G"}]},
        ]},
    ]  # fmt: skip
    assert chat(messages=turns)["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, PNG_PART, {"type": "text", "text": "here"}],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.5}'}},
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: "},
        {
            "role": "user",
            "content": [PNG_PART, {"type": "text", "text": "and?"}, {"type": "text", "text": "well?"}],
        },
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": "T\nC\nD\nE\nF\nR\nS\nG"},
    ]


def test_an_answer_that_has_a_beginning() -> None:
    request = asked(messages=[*HI, {"role": "assistant", "content": "The answer is ("}])
    assert request.prefill == "The answer is ("
    assert json.loads(bytes(request.body))["messages"] == HI
    assert asked(messages=[*HI, {"role": "assistant", "content": []}]).prefill == ""


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, ""),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, ""),
        ({"thinking": {"type": "adaptive"}}, ""),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "xhigh"}}, "high"),
        ({"output_config": {"effort": "medium"}}, "medium"),
    ],
)
def test_how_much_to_think(fields: dict[str, Any], effort: str) -> None:
    assert asked(**fields).effort == effort


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_which_tool(choice: dict[str, Any], told: dict[str, Any]) -> None:
    assert chat(tools=[TOOL], tool_choice=choice) == BARE | {"tools": [FUNCTION]} | told


def test_what_a_tool_is_for() -> None:
    [tool] = chat(tools=[TOOL | {"description": "D", "strict": True, "input_examples": [{"a": 1}]}])["tools"]
    assert tool["function"] == FUNCTION["function"] | {"description": 'D\nExample: {"a":1}', "strict": True}  # type: ignore[operator]  # a dict of dicts


@pytest.mark.parametrize(
    ("param", "name"),
    [
        ("messages[0].content", "system"),
        ("messages[1].content[0]", "messages[0]"),
        ("messages[2].role", "messages[1]"),
        ("messages[9]", "messages[9]"),
        ("tools[3].function.parameters", "tools[3].input_schema"),
        ("tools[3].function.name", "tools[3].name"),
        ("response_format", "output_config.format"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("reasoning_effort", "thinking"),
        ("stop", "stop_sequences"),
        ("stop[...]", "stop_sequences[...]"),
        ("continues", "messages"),
        ("model", "model"),
        ("", ""),
    ],
)
def test_refusals_name_the_fields_that_were_sent(param: str, name: str) -> None:
    turns = [*HI, {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    say = wanted(system="s", messages=turns).reworded
    said = say(Unsupported(f"{param}: Not this one.", param=param))
    assert isinstance(said, Unsupported)
    assert (said.message, said.details["param"]) == (f"{name}: Not this one.", name)


def test_a_prompt_that_is_too_long_is_said_as_applications_look_for_it() -> None:
    error = ContextExceeded("The messages have …", param="messages", prompt_tokens=9, context_tokens=8)
    assert wanted().reworded(error).message == "prompt is too long: 9 tokens > 8 maximum"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (Forbidden("x"), "permission_error"),
        (NotFound("x"), "not_found_error"),
        (Conflict("x"), "conflict_error"),
        (TooLarge("x"), "request_too_large"),
        (RateLimited("x"), "rate_limit_error"),
        (InternalError("x"), "api_error"),
        (Overloaded("x"), "overloaded_error"),
        (DeadlineExceeded("x"), "timeout_error"),
    ],
)
def test_errors_have_anthropics_types(error: HyperinferError, kind: str) -> None:
    assert json.loads(errors.body_of(error)) == {"type": "error", "error": {"type": kind, "message": "x"}}
