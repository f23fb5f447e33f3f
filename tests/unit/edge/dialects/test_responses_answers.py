"""Responses made of a chat's answers: whole ones, streams, and what goes wrong in them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.dialects.openai_responses import composer
from hyperinfer.edge.dialects.openai_responses.answers import asked_for
from hyperinfer.edge.dialects.openai_responses.form import ResponseForm, noise
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.errors import BackendFailed, ContextExceeded, HyperinferError, PeerLost, RateLimited
from hyperinfer.testing.clock import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 3}}
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def form(**fields: Any) -> ResponseForm:
    return ResponseForm(asked_for(ResponseRequest(input="hi", **fields)), clock=ManualClock(NOW))


def stamped(**fields: Any) -> bytes:
    return json.dumps({"id": "chatcmpl-ab12", "created": 1_767_225_000, "model": "m", **fields}).encode()


def chunk(reason: str | None = None, logprobs: Any = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
    return stamped(object="chat.completion.chunk", choices=[choice], usage=None)


def last(usage: Any = USAGE) -> bytes:
    return stamped(choices=[], usage=usage)


def whole(reason: str = "stop", logprobs: Any = None, usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "finish_reason": reason,
        "logprobs": logprobs,
    }
    completion = msgspec.Raw(stamped(object="chat.completion", choices=[choice], usage=usage))
    processed = Processed(usage=Usage(5, 7), finish_reason=reason, model="m", completion=completion)
    shown = form().whole(Inferred(processed=processed, head=Head(worker="ab")))
    response: dict[str, Any] = json.loads(shown)
    Response.model_validate(response, strict=True)
    return response


def events_of(data: bytes) -> list[dict[str, Any]]:
    events = []
    for event in data.decode().removesuffix("\n\n").split("\n\n"):
        name, body = event.split("\n")
        one = json.loads(body.removeprefix("data: "))
        assert name == f"event: {one['type']}"
        EVENTS.validate_python(one, strict=True)
        events.append(one)
    return events


def streamed(*chunks: bytes, **fields: Any) -> list[dict[str, Any]]:
    one = form(**fields)
    return events_of(b"".join([*(one.chunks([chunk]) for chunk in chunks), one.end()]))


def types(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


# --- whole -----------------------------------------------------------------------------------------------


def test_a_whole_answer_is_a_response() -> None:
    assert whole(content="hello") == {
        "id": "resp_ab12",
        "object": "response",
        "created_at": 1_767_225_000,
        "status": "completed",
        "background": False,
        "completed_at": int(NOW.timestamp()),
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "m",
        "output": [
            {
                "type": "message",
                "id": "msg_ab12_0",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "hello"}],
            }
        ],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 12,
        },
        "user": None,
        "metadata": {},
    }


def test_thoughts_text_refusal_and_calls_are_items() -> None:
    calls = [
        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    output = whole("tool_calls", reasoning_content="Hm.", content="Yes", refusal="but no", tool_calls=calls)["output"]
    assert [item["id"] for item in output] == ["rs_ab12_0", "msg_ab12_1", "fc_ab12_2", "fc_ab12_3"]
    reasoning, message, first, second = output
    assert (reasoning["summary"], reasoning["content"]) == ([], [{"type": "reasoning_text", "text": "Hm."}])
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_a", "f", '{"x":1}')
    assert (second["call_id"], second["name"], second["status"]) == ("call_b", "g", "completed")


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(reason: str, why: str) -> None:
    response = whole(reason, reasoning_content="Hm.", content="so")
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["completed_at"] is None
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x'}}
    cut = whole(reason, content="so", tool_calls=[call])
    assert [item["status"] for item in cut["output"]] == ["completed", "incomplete"]


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    [message] = whole(content="")["output"]
    assert [part["text"] for part in message["content"]] == [""]


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": 0}])
def test_usage_whose_details_are_not_told(details: Any) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 0, "prompt_tokens_details": details}
    told = whole(content="x", usage=usage)["usage"]
    assert (told["input_tokens_details"]["cached_tokens"], told["total_tokens"]) == (0, 3)
    usage.pop("prompt_tokens_details")
    assert whole(content="x", usage=usage)["usage"]["input_tokens_details"]["cached_tokens"] == 0


@pytest.mark.parametrize("completion", [b"null", b"{}", b"5", b'{"id":1}', b'{"id":"a","created":1,"model":"m"}', b"{"])
def test_what_is_no_completion_has_failed(completion: bytes) -> None:
    processed = Processed(usage=Usage(), finish_reason="stop", model="m", completion=msgspec.Raw(completion))
    with pytest.raises(BackendFailed):
        form().whole(Inferred(processed=processed, head=Head(worker="ab")))


# --- streamed --------------------------------------------------------------------------------------------


def test_a_streamed_answer_is_told_step_by_step() -> None:
    call = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
    events = streamed(
        chunk(role="assistant", content=""),
        chunk(reasoning_content="Hm"),
        chunk(reasoning_content="."),
        chunk(content="Yes"),
        chunk(refusal="no"),
        chunk(tool_calls=[call]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
        chunk("tool_calls"),
        last(),
    )
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["status"] == events[1]["response"]["status"] == "in_progress"
    assert events[0]["response"]["usage"] is None
    assert events[2]["item"] == {
        "type": "reasoning",
        "id": "rs_ab12_0",
        "status": "in_progress",
        "summary": [],
        "content": [],
    }
    assert events[6]["text"] == "Hm."
    assert events[11] == {
        "type": "response.output_text.delta",
        "sequence_number": 11,
        "item_id": "msg_ab12_1",
        "output_index": 1,
        "content_index": 0,
        "delta": "Yes",
        "logprobs": [],
    }
    assert events[19]["item"]["arguments"] == ""
    assert (events[21]["arguments"], events[21]["item_id"]) == ("{}", "fc_ab12_2")
    assert events[-1]["response"]["usage"]["total_tokens"] == 12


def test_what_is_thought_in_between_is_an_item_of_its_own() -> None:
    events = streamed(chunk(content="a"), chunk(reasoning_content="b"), chunk(content="c"), chunk("stop"))
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "reasoning", "message"]
    assert events[-1]["response"]["usage"] is None


def test_pieces_of_calls_may_come_by_turns_and_before_their_name() -> None:
    def piece(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "function": function}

    events = streamed(
        chunk(tool_calls=[piece(0, arguments='{"a'), piece(1, name="g", arguments="{")]),
        chunk(tool_calls=[piece(0, name="f", arguments='":1}')]),
        chunk(tool_calls=[piece(1, arguments="}"), piece(2, arguments="x")]),
        chunk("tool_calls"),
    )
    output = events[-1]["response"]["output"]
    assert [(item["name"], item["call_id"], item["arguments"]) for item in output] == [
        ("g", "call_1", "{}"),
        ("f", "call_0", '{"a":1}'),
        ("", "call_2", "x"),
    ]


def test_the_likelihood_of_half_a_letter_comes_with_the_text_it_is_part_of() -> None:
    def token(text: str, data: list[int] | None) -> dict[str, Any]:
        other = {"token": "x", "logprob": -3.0, "bytes": None}
        return {"content": [{"token": text, "logprob": -0.5, "bytes": data, "top_logprobs": [other]}]}

    events = streamed(
        chunk(content="", logprobs=token("\ufffd", [0xC3])),
        chunk(content="ä", logprobs=token("\ufffd", [0xA4])),
        chunk(content="", logprobs=token("end", None)),
        chunk("stop"),
        last(),
    )
    [delta] = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [one["bytes"] for one in delta["logprobs"]] == [[0xC3], [0xA4]]
    [part] = events[-1]["response"]["output"][0]["content"]
    assert [one["bytes"] for one in part["logprobs"]] == [[0xC3], [0xA4], list(b"end")]
    assert part["logprobs"][2]["top_logprobs"] == [{"token": "x", "logprob": -3.0, "bytes": list(b"x")}]


def test_only_the_first_answer_is_one() -> None:
    other = stamped(choices=[{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}])
    events = streamed(chunk(content="yes"), other, chunk("stop"))
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "yes"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PeerLost("Lost."), "server_error"),
        (RateLimited("Enough."), "rate_limit_exceeded"),
        (ContextExceeded("Too long.", param="input"), "invalid_prompt"),
    ],
)
def test_a_stream_that_breaks_off_tells_why_and_what_there_is(error: HyperinferError, code: str) -> None:
    one = form()
    begun = events_of(one.chunks([chunk(content="so far")]))
    failed, why = events_of(one.failed(error))
    assert failed["type"] == "response.failed"
    response = failed["response"]
    assert (response["status"], response["error"]) == ("failed", {"code": code, "message": error.message})
    assert (response["output"][0]["status"], response["output"][0]["content"][0]["text"]) == ("incomplete", "so far")
    assert (why["type"], why["message"], why["param"]) == ("error", error.message, error.details.get("param"))
    assert why["error"]["code"] == why["code"]
    assert [failed["sequence_number"], why["sequence_number"]] == [len(begun), len(begun) + 1]


def test_a_stream_that_breaks_off_before_it_said_anything_tells_why() -> None:
    [why] = events_of(form().failed(PeerLost("Lost.")))
    assert (why["type"], why["error"]["code"]) == ("error", "connection_lost")


def test_a_stream_without_a_reason_to_end_has_failed() -> None:
    one = form()
    one.chunks([chunk(content="x"), last()])
    with pytest.raises(BackendFailed):
        one.end()
    with pytest.raises(BackendFailed):
        form().end()


@pytest.mark.parametrize("data", [b"", b"null", b"{}", b"\xff", b'{"id":"x","created":"y","model":"z"}', b"[" * 9000])
def test_what_is_no_chunk_has_failed(data: bytes) -> None:
    with pytest.raises(BackendFailed):
        form().chunks([data])


def test_a_response_beyond_every_bound_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "MAX_RESPONSE_CHARS", 100)
    for delta in ({"content": "x" * 60}, {"reasoning_content": "x" * 60}, {"refusal": "x" * 60}):
        one = form()
        one.chunks([chunk(**delta)])
        with pytest.raises(BackendFailed):
            one.chunks([chunk(**delta)])
    likely = {"content": [{"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}] * 2}
    with pytest.raises(BackendFailed):
        form().chunks([chunk(content="", logprobs=likely)])
    with pytest.raises(BackendFailed):
        form().chunks([chunk(tool_calls=[{"index": index} for index in range(200)])])


@pytest.mark.parametrize("added", ["", "x", "x" * 15, "x" * 16, "ä" * 17])
def test_noise_makes_lengths_even(added: str) -> None:
    assert (len(added) + len(noise(added))) % 16 == 0
    assert len(noise(added)) < 16
