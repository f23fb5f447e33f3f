"""Chunks as messages: what each adds, what is told together, and answers that make no sense."""

import json
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.ws.answers import Answer
from hyperinfer.edge.ws.messages import fault, limits
from hyperinfer.errors import BackendFailed, Overloaded

from .conftest import HEAD, chunk


def inferred(*, finish_reason: str = "stop", completion: Any = None) -> Inferred:
    whole = msgspec.Raw(json.dumps(completion).encode())
    return Inferred(Processed(Usage(1, 2), finish_reason, "m", completion=whole), HEAD)


def begun() -> Answer:
    answer = Answer("c", "req_1")
    [started] = answer.of_chunks([msgspec.json.encode(HEAD)])
    assert isinstance(started, ws.Started)
    return answer


def told(*chunks: bytes) -> list[ws.ServerMessage]:
    return list(begun().of_chunks(chunks))


def test_texts_that_came_together_are_told_together() -> None:
    assert told(chunk("a"), chunk(""), chunk("b")) == [ws.Delta("c", "ab")]
    answer = begun()
    assert [*answer.of_chunks([chunk("a")]), *answer.of_chunks([chunk("b")])] == [
        ws.Delta("c", "a"),
        ws.Delta("c", "b"),
    ]


def test_what_adds_nothing_is_not_told() -> None:
    usage = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
    assert told(chunk("", role="assistant"), chunk(finish_reason="stop"), usage) == []


def test_whatever_is_no_text_keeps_its_place() -> None:
    calls = [{"index": 0, "function": {"arguments": "{}"}}]
    messages = told(chunk("a"), chunk(reasoning_content="hm"), chunk("b"), chunk(tool_calls=calls), chunk(refusal="no"))
    shown = [json.loads(msgspec.json.encode(message)) for message in messages]
    common = {"type": "delta", "id": "c", "text": ""}
    assert shown == [
        common | {"text": "a"},
        common | {"thinking": "hm"},
        common | {"text": "b"},
        common | {"tool_calls": calls},
        common | {"refusal": "no"},
    ]


def test_logprobs_come_with_their_text() -> None:
    [delta] = told(b'{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}')
    assert json.loads(msgspec.json.encode(delta))["logprobs"] == {"content": []}
    assert told(b'{"choices":[{"delta":{"content":"a","tool_calls":null},"logprobs":null}]}') == [ws.Delta("c", "a")]


def test_a_completion_s_chunks_have_their_text_elsewhere() -> None:
    assert told(b'{"choices":[{"index":0,"text":"a","finish_reason":null}]}') == [ws.Delta("c", "a")]


def test_the_end_says_why_as_the_chunks_did() -> None:
    answer = begun()
    list(answer.of_chunks([chunk("a", finish_reason="length")]))
    assert answer.of_end(inferred(finish_reason="")).finish_reason == "length"
    assert begun().of_end(inferred(finish_reason="stop")).finish_reason == "stop"


def test_a_completion_as_a_whole() -> None:
    _, done = Answer("c", "req_1").of_whole(inferred(completion={"choices": [{"text": "so", "index": 0}]}))
    assert (done.text, done.message) == ("so", msgspec.UNSET)


@pytest.mark.parametrize("nonsense", [b"", b"{", b"[]", b'{"choices":1}', b'{"choices":[{"delta":5}]}', b"\xff"])
def test_chunks_that_make_no_sense_are_the_backend_s_failure(nonsense: bytes) -> None:
    with pytest.raises(BackendFailed):
        told(nonsense)


@pytest.mark.parametrize("completion", [None, {}, {"choices": []}, {"choices": [{}, {}]}, {"choices": 1}, "text"])
def test_so_are_whole_answers(completion: Any) -> None:
    with pytest.raises(BackendFailed):
        Answer("c", "req_1").of_whole(inferred(completion=completion))


def test_and_a_stream_that_never_began() -> None:
    with pytest.raises(BackendFailed):
        Answer("c", "req_1").of_end(inferred())


def test_limits_and_times_are_told_as_they_are() -> None:
    assert limits(None) is None
    told_limits = limits(HEAD.rate_limit_info)
    assert told_limits is not None
    assert (told_limits.remaining_requests, told_limits.max_tokens) == (9, None)
    assert Answer("c", "r").of_whole(inferred(completion={"choices": [{"message": {}}]}))[0].limits == told_limits


@pytest.mark.parametrize(
    ("retry_after_s", "shown"),
    [
        (2, 2.0),
        (0.25, 0.25),
        (-1, 0.0),
        (float("inf"), msgspec.UNSET),
        (float("nan"), msgspec.UNSET),
        ("1", msgspec.UNSET),
    ],
)
def test_when_to_come_again_is_told_where_it_makes_sense(retry_after_s: Any, shown: Any) -> None:
    assert fault(Overloaded("Full.", retry_after_s=retry_after_s)).retry_after_s == shown


def test_a_head_is_told_in_short() -> None:
    [started] = Answer("c", "req_1").of_chunks([msgspec.json.encode(Head(worker="0123456789abcdef", cache="hit"))])
    assert isinstance(started, ws.Started)
    assert (started.worker, started.cache, started.limits) == ("0123456789ab", "hit", None)
