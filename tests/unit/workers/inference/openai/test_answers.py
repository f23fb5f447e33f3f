"""Answers as servers give them: the same however they are cut, and never anything but pieces or a failure of the server."""

import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.errors import BackendFailed, ContextExceeded, HyperinferError, Overloaded
from hyperinfer.workers.inference.backends.openai.answers import AnswerReader, embedded
from hyperinfer.workers.inference.backends.openai.refusals import Asked

ASKED = Asked("m", "messages")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": None}


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def piece(index: int = 0, finish_reason: str | None = None, **fields: Any) -> bytes:
    return event(choices=[{"index": index, "finish_reason": finish_reason, **fields}], usage=None)


ANSWER = (
    b": keep-alive\r\n\r\n",
    piece(delta={"role": "assistant", "content": ""}, logprobs=None),
    piece(delta={"content": "o\u00e9ne", "tool_calls": None, "function_call": None}),
    piece(delta={"reasoning": "hm", "reasoning_details": [{}]}),
    piece(delta={"content": " two", "tool_calls": []}),
    piece(delta={}, finish_reason="stop"),
    event(choices=[], usage=USAGE),
    b"data: [DONE]\n\n",
)


def read(*pieces: bytes, answers: int = 1) -> AnswerReader:
    reader = AnswerReader(ASKED, answers=answers)
    for one in pieces:
        reader.take(one)
    return reader


@given(st.integers(min_value=1, max_value=200))
def test_an_answer_is_the_same_however_it_is_cut(size: int) -> None:
    whole = b"".join(ANSWER)
    reader = AnswerReader(ASKED, answers=1)
    pieces = [one for at in range(0, len(whole), size) for one in reader.take(whole[at : at + size])]
    assert "".join(one.delta.content or "" for one in pieces) == "o\u00e9ne two"
    assert "".join(one.delta.reasoning_content or "" for one in pieces) == "hm"
    assert all(one.delta.tool_calls is msgspec.UNSET for one in pieces)
    assert reader.done
    assert reader.end().finish_reasons == ("stop",)


@pytest.mark.parametrize(
    ("told", "stopped_by"),
    [
        (b'"stop_reason":"END"', "END"),
        (b'"matched_stop":"END"', "END"),
        (b'"stop_reason":null', ""),
        (b'"matched_stop":151645', ""),
        (b'"stop_reason":{}', ""),
    ],
)
def test_the_text_that_ended_an_answer_is_told_where_a_server_tells(told: bytes, stopped_by: str) -> None:
    last = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",%b}],"usage":{}}\n\n' % told
    assert read(last).end().stopped_by == stopped_by


@given(st.binary(max_size=200))
def test_whatever_comes_it_is_pieces_or_the_server_s_failure(noise: bytes) -> None:
    reader = AnswerReader(ASKED, answers=1)
    try:
        reader.take(b"data: " + noise + b"\n\n")
        reader.end()
    except HyperinferError:
        return
    raise AssertionError("noise is no answer")


@pytest.mark.parametrize("field", ["choices", "reasoning", "error", "odd"])
def test_an_answer_nested_without_end_is_a_failure(field: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    whole = {"choices": b'{"choices":%b}', "reasoning": b'{"choices":[{"delta":{"reasoning":%b}}]}'}
    with pytest.raises(BackendFailed):
        read(b"data: " + whole.get(field, b'{"%b":%%b}' % field.encode()) % deep + b"\n\n").end()


@pytest.mark.parametrize(
    ("theirs", "ours"), [("stop", "stop"), ("eos", "stop"), ("max_tokens", "length"), ("tool_calls", "tool_calls")]
)
def test_reasons_are_openai_s(theirs: str, ours: str) -> None:
    reader = read(piece(delta={}, finish_reason=theirs), event(choices=[], usage=USAGE), ANSWER[-1])
    assert reader.end().finish_reasons == (ours,)


@pytest.mark.parametrize("theirs", ["abort", "error", "wat"])
def test_an_answer_that_ended_otherwise_has_failed(theirs: str) -> None:
    with pytest.raises(BackendFailed):
        read(piece(delta={}, finish_reason=theirs))


def test_a_token_in_the_middle_of_a_letter_keeps_its_logprob() -> None:
    told = {"content": [{"token": "\ufffd", "logprob": -1.0, "bytes": [195], "top_logprobs": []}]}
    reader = AnswerReader(ASKED, answers=1)
    [one] = reader.take(piece(delta={"content": ""}, logprobs=told))
    assert json.loads(bytes(one.logprobs)) == told  # type: ignore[arg-type]


def test_columns_of_texts_become_chats_logprobs() -> None:
    columns = {"tokens": ["a", "b"], "token_logprobs": [None, -1.0], "top_logprobs": [None, {"b": -1.0, "c": -2.0}]}
    [one] = AnswerReader(ASKED, answers=1).take(piece(text="ab", logprobs=columns))
    assert one.delta.content == "ab"
    first, second = json.loads(bytes(one.logprobs))["content"]  # type: ignore[arg-type]
    assert (first["logprob"], first["top_logprobs"]) == (0.0, [])
    assert [top["token"] for top in second["top_logprobs"]] == ["b", "c"]
    for odd in ({"tokens": ["a"], "token_logprobs": []}, {"tokens": 7}):
        with pytest.raises(BackendFailed):
            AnswerReader(ASKED, answers=1).take(piece(text="ab", logprobs=odd))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            {"message": "The input (300 tokens) is longer than the model's context length (200 tokens).", "code": 400},
            ContextExceeded,
        ),
        ({"message": "busy", "code": 429}, Overloaded),
        ({"message": "a secret", "code": 500}, BackendFailed),
        ("a secret", BackendFailed),
    ],
)
def test_an_error_in_a_stream_is_a_refusal_at_its_beginning_and_a_failure_later(error: Any, kind: Any) -> None:
    with pytest.raises(kind) as refused:
        read(event(error=error))
    assert "secret" not in refused.value.message
    if kind is ContextExceeded:
        assert (refused.value.details["prompt_tokens"], refused.value.details["context_tokens"]) == (300, 200)
    with pytest.raises(BackendFailed):
        read(*ANSWER[:3], event(error=error))


# --- embeddings ------------------------------------------------------------------------------------------


def vectors(*data: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}, **more}).encode()


def test_vectors_come_in_the_inputs_order_and_are_counted() -> None:
    body = vectors({"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": "AACAPwAAAEA="})
    found = embedded(body, 2, estimate=None)
    assert [struct.unpack("<2f", vector) for vector in found.vectors] == [(1.0, 2.0), (3.0, 4.5)]
    assert found.prompt_tokens == 4
    one = {"index": 0, "embedding": [1.0]}
    assert embedded(vectors(one, usage=None), 1, estimate=9).prompt_tokens == 9
    with pytest.raises(BackendFailed):
        embedded(vectors(one, usage=None), 1, estimate=None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"data": []}',
        vectors({"index": 0, "embedding": []}),
        vectors({"index": 0, "embedding": [[1.0]]}),
        vectors({"index": 0, "embedding": [1e300]}),
        vectors({"index": 0, "embedding": "AAA="}),
        vectors({"index": 0, "embedding": "!"}),
        vectors({"index": 1, "embedding": [1.0]}),
        vectors({"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}),
    ],
)
def test_what_is_no_vector_for_each_input_is_a_failure(body: bytes) -> None:
    with pytest.raises(BackendFailed):
        embedded(body, 1, estimate=1)
