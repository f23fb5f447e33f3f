"""Answers as a real Ollama 0.32.15 gave them, and what is none."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from hyperinfer.contracts.openai import ChunkChoice
from hyperinfer.errors import BackendFailed, ContextExceeded
from hyperinfer.workers.inference.backends import End
from hyperinfer.workers.inference.backends.ollama.answer import MAX_LINE_BYTES, AnswerReader

FRAME = {"model": "smollm2:135m", "created_at": "2026-11-21T02:57:31.445348961Z"}
CHAT = b"""\
{"model":"smollm2:135m","created_at":"2026-11-21T02:57:31.445348961Z","message":{"role":"assistant","content":"The"},"done":false}
{"model":"smollm2:135m","created_at":"2026-11-21T02:57:31.477018392Z","message":{"role":"assistant","content":" answer"},"done":false}
{"model":"smollm2:135m","created_at":"2026-11-21T02:57:31.545836675Z","message":{"role":"assistant","content":" is: 4"},"done":false}
{"model":"smollm2:135m","created_at":"2026-11-21T02:57:31.578972479Z","message":{"role":"assistant","content":""},"done":true,\
"done_reason":"stop","total_duration":1671891072,"load_duration":1360899617,"prompt_eval_count":16,"prompt_eval_duration":175083000,\
"eval_count":7,"eval_duration":133116999}
"""
GENERATE = b"""\
{"model":"smollm2:135m","created_at":"2026-11-21T02:57:31.90960955Z","response":"Wai! Aloha","done":true,"done_reason":"length",\
"context":[1,4093,198],"total_duration":193660234,"prompt_eval_count":11,"eval_count":5}
"""
LOGPROBS = b"""\
{"model":"smollm2:135m","message":{"role":"assistant","content":"The Fib"},"done":true,"done_reason":"length","logprobs":[\
{"token":"The","logprob":-1.78,"bytes":[84,104,101],"top_logprobs":[{"token":"The","logprob":-1.78,"bytes":[84,104,101]}]},\
{"token":" Fib","logprob":-3.06}],"prompt_eval_count":13,"eval_count":2}
"""
TOO_LONG = (
    rb'{"error":"{\"error\":{\"code\":400,\"message\":\"request (5010 tokens) exceeds the available context size'
    rb" (2048 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":5010,"
    rb'\"n_ctx\":2048}}"}' + b"\n"
)


def read(*pieces: bytes, **how: Any) -> tuple[list[ChunkChoice], End]:
    reader = AnswerReader("smollm2:135m", **{"param": "messages", **how})
    added = [choice for piece in pieces for choice in reader.take(piece)]
    return added, reader.end()


def line(message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    said = {} if message is None else {"message": {"role": "assistant", "content": "", **message}}
    return json.dumps(FRAME | said | {"done": False} | fields).encode() + b"\n"


def texts(added: Sequence[ChunkChoice]) -> list[str | None]:
    return [choice.delta.content for choice in added]


def calls(added: Sequence[ChunkChoice]) -> list[dict[str, Any]]:
    return [
        call
        for choice in added
        if isinstance(choice.delta.tool_calls, Raw)
        for call in json.loads(bytes(choice.delta.tool_calls))
    ]


DONE = line({}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=2)


def test_a_chat_as_recorded() -> None:
    added, end = read(CHAT)
    assert texts(added) == ["The", " answer", " is: 4"]
    assert end == End.of("stop", 16, 7)


@given(st.lists(st.integers(0, len(CHAT)), max_size=12))
def test_it_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(CHAT)]
    pieces = [CHAT[start:stop] for start, stop in itertools.pairwise(at)]
    assert read(*pieces) == read(CHAT)


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_has_failed(garbage: bytes) -> None:
    reader = AnswerReader("m", param="messages")
    try:
        reader.take(garbage + b"\n")
        reader.end()
    except BackendFailed:
        pass
    else:
        raise AssertionError("no garbage is an answer")


def test_a_text_as_recorded() -> None:
    added, end = read(GENERATE)
    assert texts(added) == ["Wai! Aloha"]
    assert end == End.of("length", 11, 5)


def test_logprobs_have_everything_that_openais_have() -> None:
    added, _ = read(LOGPROBS)
    assert isinstance(added[0].logprobs, Raw)
    the = {"token": "The", "logprob": -1.78, "bytes": [84, 104, 101]}
    assert json.loads(bytes(added[0].logprobs)) == {
        "content": [
            the | {"top_logprobs": [the]},
            {"token": " Fib", "logprob": -3.06, "bytes": None, "top_logprobs": []},
        ]
    }


def test_logprobs_of_text_that_is_held_back_come_at_once() -> None:
    added, _ = read(line({}, logprobs=[{"token": "<", "logprob": -1}]), DONE)
    assert texts(added) == [None]


def test_thoughts_come_apart_from_the_answer() -> None:
    added, _ = read(line({"thinking": "Hm."}), line({"content": "Yes."}), DONE)
    assert [(choice.delta.reasoning_content, choice.delta.content) for choice in added] == [
        ("Hm.", None),
        (None, "Yes."),
    ]


def test_calls_of_tools_become_openais_deltas() -> None:
    one = {"id": "call_abc", "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris", "é": [1]}}}
    two = {"function": {"name": "time", "arguments": {}}}
    added, end = read(line({"tool_calls": [one]}), line({"tool_calls": [two, two]}), DONE)
    first, *others = calls(added)
    assert first.pop("function")["name"] == "weather"
    assert first == {"index": 0, "id": "call_abc", "type": "function"}
    assert [call["index"] for call in others] == [1, 2]
    assert all(call["id"].startswith("call_") and call["function"]["arguments"] == "{}" for call in others)
    assert others[0]["id"] != others[1]["id"]
    assert end.finish_reasons == ("tool_calls",)


def test_arguments_are_the_very_text_that_came() -> None:
    written = (
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"b":1.0,"a":"\\u00e9"}}}]},"done":true}\n'
    )
    added, _ = read(written)
    assert calls(added)[0]["function"]["arguments"] == '{"b":1.0,"a":"\\u00e9"}'


def test_one_call_is_enough_where_no_more_are_wanted() -> None:
    call = {"function": {"name": "time", "arguments": {}}}
    added, end = read(line({"tool_calls": [call, call]}), line({"tool_calls": [call]}), DONE, one_call=True)
    assert len(calls(added)) == 1
    assert end.finish_reasons == ("tool_calls",)


def test_counts_that_are_not_told_are_0() -> None:
    assert read(line({"content": "Hi"}), line({}, done=True))[1] == End.of("stop", 0, 0)


def test_what_is_not_known_and_what_is_null_is_passed_over() -> None:
    added, _ = read(
        line({"content": None, "thinking": None, "tool_calls": None, "mood": 7}, remote_model=None), b"\n", DONE
    )
    assert added == []


def test_what_comes_after_the_end_is_not_read() -> None:
    assert texts(read(line({"content": "Hi"}), DONE + b"garbage\n")[0]) == ["Hi"]


@pytest.mark.parametrize("reason", ["load", "unload", "error"])
def test_an_end_that_is_not_an_answers_has_failed(reason: str) -> None:
    with pytest.raises(BackendFailed):
        read(line({}, done=True, done_reason=reason))


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe\n",
        b"<html>\n",
        b"[]\n",
        b'{"message": 7}\n',
        b'{"message": {"content": 7}}\n',
        b'{"message": {"tool_calls": [{}]}}\n',
        b'{"done": "yes"}\n',
        b'{"done": true, "eval_count": "many"}\n',
        b'{"logprobs": [7]}\n',
        b"x" * (MAX_LINE_BYTES + 1),
    ],
)
def test_what_makes_no_sense_has_failed(garbage: bytes) -> None:
    with pytest.raises(BackendFailed) as caught:
        read(line({"content": "Hi"}), garbage, DONE)
    assert len(caught.value.message) < 100


def test_an_answer_without_its_end_has_failed() -> None:
    with pytest.raises(BackendFailed, match="end mark"):
        read(line({"content": "Hi"}))
    with pytest.raises(BackendFailed, match="end mark"):
        read()


def test_an_error_in_mid_answer_has_failed_without_its_text() -> None:
    error = b'{"error":"an error was encountered while running the model: unexpected EOF"}\n'
    with pytest.raises(BackendFailed) as caught:
        read(line({"content": "Hi"}), error)
    assert "EOF" not in caught.value.message


def test_a_prompt_that_turns_out_too_long_is_said_with_its_numbers() -> None:
    with pytest.raises(ContextExceeded) as caught:
        read(TOO_LONG)
    assert caught.value.details == {"param": "messages", "prompt_tokens": 5010, "context_tokens": 2048}
