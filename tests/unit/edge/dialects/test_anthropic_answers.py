"""Chat answers as Anthropic's messages: the blocks, why they ended, what they took, and the same as events."""

import json
from typing import Any

import pytest

from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.dialects.anthropic.answers import message, tool_input
from hyperinfer.edge.dialects.anthropic.read import MessageForm
from hyperinfer.errors import BackendFailed, Overloaded


def form(*, shows_thinking: bool = True) -> MessageForm:
    return MessageForm(prompt_tokens=7, shows_thinking=shows_thinking, request_id="req_1")


def completion(reason: str = "stop", usage: Any = None, stopped_by: str = "", **said: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": None} | said, "finish_reason": reason}
    if stopped_by:
        choice["stop_reason"] = stopped_by
    body = {"id": "chatcmpl-1", "model": "m", "choices": [choice]}
    return json.dumps(body | {"usage": usage or {"prompt_tokens": 9, "completion_tokens": 2}}).encode()


def whole(**said: Any) -> dict[str, Any]:
    raw = completion(**said)
    inferred = Inferred(
        processed=Processed(usage=Usage(9, 2), finish_reason="stop", model="m", completion=raw),  # type: ignore[arg-type]  # bytes serve as well
        head=Head(worker="ab"),
    )
    found: dict[str, Any] = json.loads(form().whole(inferred))
    return found


def chunk(reason: str | None = None, usage: Any = None, **delta: Any) -> bytes:
    body: dict[str, Any] = {"id": "chatcmpl-1", "model": "m", "usage": usage}
    body["choices"] = [{"index": 0, "delta": delta, "finish_reason": reason}]
    return json.dumps(body).encode()


def call(index: int, arguments: str, **named: str) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": named["name"]} if named else {})
    return {"index": index, "function": function} | ({"id": named["id"]} if named else {})


def events(stream: bytes) -> list[dict[str, Any]]:
    found = []
    for event in stream.decode().split("\n\n")[:-1]:
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert found[-1]["type"] == name.removeprefix("event: ")
    return found


def test_a_message_of_text() -> None:
    assert whole(content="hello") == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
        },
    }


def test_thoughts_come_first_and_tools_last() -> None:
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": [1.50]}'}}]
    assert whole(reason="tool_calls", content="x", reasoning_content="hm", tool_calls=calls)["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "hyperinfer"},
        {"type": "text", "text": "x"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1.5]}},
    ]
    assert whole(content="")["content"] == []


@pytest.mark.parametrize(
    ("said", "reason", "sequence"),
    [
        ({"reason": "stop"}, "end_turn", None),
        ({"reason": "stop", "stopped_by": "END"}, "stop_sequence", "END"),
        ({"reason": "length"}, "max_tokens", None),
        ({"reason": "tool_calls"}, "tool_use", None),
        ({"reason": "content_filter"}, "refusal", None),
        ({"reason": "stop", "refusal": "No."}, "refusal", None),
        ({"reason": "odd"}, "end_turn", None),
        (
            {"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}], "reason": "stop"},
            "tool_use",
            None,
        ),
    ],
)
def test_why_it_ended(said: dict[str, Any], reason: str, sequence: str | None) -> None:
    found = whole(**said)
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)


def test_what_a_cache_had_is_told_apart() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6}}
    told = whole(content="x", usage=usage)["usage"]
    assert (told["input_tokens"], told["cache_read_input_tokens"]) == (3, 6)
    usage["prompt_tokens_details"] = None
    assert whole(content="x", usage=usage)["usage"]["input_tokens"] == 9


DEEP = f'{{"a":{"[" * 5000}{"]" * 5000}}}'


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"a":1}', {"a": 1}),
        ("", {}),
        (" null ", {}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ("rm -rf", {"INVALID_JSON": "rm -rf"}),
        (DEEP, {"INVALID_JSON": DEEP}),
    ],
)
def test_a_tools_input_is_always_an_object(arguments: str, given: dict[str, Any]) -> None:
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    assert whole(tool_calls=calls)["content"][0]["input"] == given
    assert tool_input(arguments) is not None


@pytest.mark.parametrize("wrong", [b"null", b"{}", b'{"id":"c","model":"m","choices":[],"usage":{}}', b"<html>"])
def test_what_is_no_completion_is_a_failure(wrong: bytes) -> None:
    with pytest.raises(BackendFailed):
        message(wrong)
    with pytest.raises(BackendFailed):
        form().chunks([wrong, b"?"])


def test_events_of_every_kind() -> None:
    answer = form()
    sent = answer.chunks([chunk(role="assistant", content="")])
    assert [event["type"] for event in events(sent)] == ["message_start", "ping"]
    sent += answer.chunks([chunk(reasoning_content="h"), chunk(reasoning_content="m")])
    sent += answer.chunks([chunk(content="x")])
    sent += answer.chunks([chunk(tool_calls=[call(0, "", id="t", name="f")]), chunk(tool_calls=[call(0, '{"a"')])])
    sent += answer.chunks([chunk(tool_calls=[call(0, ":1}"), call(1, "{}", id="u", name="g")])])
    sent += answer.chunks([chunk("tool_calls")])
    last = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    sent += answer.chunks([b'{"id":"chatcmpl-1","model":"m","choices":[],"usage":%b}' % json.dumps(last).encode()])
    sent += answer.end()
    start, ping, *rest = events(sent)
    assert start["message"]["content"] == []
    assert start["message"]["usage"]["input_tokens"] == 7, "about; the right number comes last"
    assert ping == {"type": "ping"}
    assert [
        (event["type"], event.get("index"), event.get("content_block") or event.get("delta")) for event in rest
    ] == [
        ("content_block_start", 0, {"type": "thinking", "thinking": "", "signature": ""}),
        ("content_block_delta", 0, {"type": "thinking_delta", "thinking": "h"}),
        ("content_block_delta", 0, {"type": "thinking_delta", "thinking": "m"}),
        ("content_block_delta", 0, {"type": "signature_delta", "signature": "hyperinfer"}),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, {"type": "text", "text": ""}),
        ("content_block_delta", 1, {"type": "text_delta", "text": "x"}),
        ("content_block_stop", 1, None),
        ("content_block_start", 2, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        ("content_block_delta", 2, {"type": "input_json_delta", "partial_json": '{"a"'}),
        ("content_block_delta", 2, {"type": "input_json_delta", "partial_json": ":1}"}),
        ("content_block_stop", 2, None),
        ("content_block_start", 3, {"type": "tool_use", "id": "u", "name": "g", "input": {}}),
        ("content_block_delta", 3, {"type": "input_json_delta", "partial_json": "{}"}),
        ("content_block_stop", 3, None),
        ("message_delta", None, {"stop_reason": "tool_use", "stop_sequence": None}),
        ("message_stop", None, None),
    ]
    assert rest[-2]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 5,
    }


def test_thoughts_that_are_not_to_be_shown() -> None:
    answer = form(shows_thinking=False)
    sent = events(answer.chunks([chunk(reasoning_content="secret"), chunk(content="x")]))
    assert "secret" not in json.dumps(sent)
    assert [event["delta"]["type"] for event in sent if "delta" in event] == ["signature_delta", "text_delta"]


def test_without_a_usage_it_is_told_about() -> None:
    answer = form()
    answer.chunks([chunk(content="a"), chunk(content="b"), chunk("stop")])
    [delta, _] = [event for event in events(answer.end()) if event["type"].startswith("message")]
    assert (delta["usage"]["input_tokens"], delta["usage"]["output_tokens"]) == (7, 2)


def test_a_stream_that_has_no_end_is_a_failure() -> None:
    answer = form()
    with pytest.raises(BackendFailed):
        answer.end()
    answer.chunks([chunk(content="a")])
    with pytest.raises(BackendFailed):
        answer.end()


def test_tool_calls_that_are_mixed_up_are_a_failure() -> None:
    answer = form()
    answer.chunks([chunk(tool_calls=[call(0, "{", id="t", name="f")])])
    answer.chunks([chunk(tool_calls=[call(1, "{", id="u", name="g")])])
    with pytest.raises(BackendFailed):
        answer.chunks([chunk(tool_calls=[call(0, "}")])])


def test_a_stream_that_breaks_off_says_why() -> None:
    assert events(form().failed(Overloaded("Too much."))) == [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}, "request_id": "req_1"}
    ]
