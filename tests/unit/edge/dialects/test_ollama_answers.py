"""Answers in Ollama's form, held field by field against those of a real 0.32.15, and what comes of answers that make no sense."""

import json
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.dialects.ollama.answers import Lines, Loaded, chat_line, text_line
from hyperinfer.edge.dialects.ollama.vectors import Embedded, EmbeddedOne
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.testing.clock import ManualClock

NOW = "2026-01-01T00:00:00.000000Z"
MEANWHILE = "2026-01-01T00:00:00.250000Z"
LAST = {
    "model",
    "created_at",
    "message",
    "done",
    "done_reason",
    "total_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
}
"""The fields of a real server's last line, but for `load_duration`, which is not known here."""
USAGE = {"prompt_tokens": 16, "completion_tokens": 7, "total_tokens": 23}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def inferred(completion: Any, **fields: Any) -> Inferred:
    raw = completion if isinstance(completion, bytes) else json.dumps(completion).encode()
    processed = Processed(usage=Usage(), finish_reason="stop", model="m", completion=msgspec.Raw(raw), **fields)
    return Inferred(processed=processed, head=Head(worker="ab"))


def completion(message: dict[str, Any], reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason, **more}], "usage": USAGE}


def chunk(reason: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return json.dumps({"id": "x", "choices": [choice], "usage": None}).encode()


END = json.dumps({"choices": [], "usage": USAGE}).encode()


def lines_of(body: bytes) -> list[dict[str, Any]]:
    assert body.endswith(b"\n") or not body
    return [json.loads(line) for line in body.splitlines()]


def whole(message: dict[str, Any], reason: str = "stop", **more: Any) -> dict[str, Any]:
    form = Lines(chat_line, "m", ManualClock())
    answer: dict[str, Any] = json.loads(form.whole(inferred(completion(message, reason, **more))))
    return answer


def test_a_whole_answer() -> None:
    clock = ManualClock()
    form = Lines(chat_line, "asked:for", clock)
    clock.advance(0.25)
    said = inferred(completion({"content": "4"}), queued_s=0.5, first_token_s=0.75, duration_s=2.0)
    answer = json.loads(form.whole(said))
    assert answer == {
        "model": "asked:for",
        "created_at": MEANWHILE,
        "message": {"role": "assistant", "content": "4"},
        "done": True,
        "done_reason": "stop",
        "total_duration": 250_000_000,
        "prompt_eval_count": 16,
        "prompt_eval_duration": 250_000_000,
        "eval_count": 7,
        "eval_duration": 1_250_000_000,
    }
    assert answer.keys() == LAST


def test_a_streamed_answer() -> None:
    clock = ManualClock()
    form = Lines(chat_line, "m", clock)
    assert form.stream_type == b"application/x-ndjson"
    assert form.chunks([chunk(role="assistant", content="")]) == b""
    clock.advance(0.25)
    [first] = lines_of(form.chunks([chunk(content="The")]))
    assert first == {
        "model": "m",
        "created_at": MEANWHILE,
        "message": {"role": "assistant", "content": "The"},
        "done": False,
    }
    assert [
        line["message"]["content"] for line in lines_of(form.chunks([chunk(content=" a"), chunk(content="b")]))
    ] == [
        " a",
        "b",
    ]
    clock.advance(1.0)
    assert form.chunks([chunk("length"), END]) == b""
    [last] = lines_of(form.end())
    assert last.keys() == LAST
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"]) == (True, "length")
    assert (last["prompt_eval_count"], last["eval_count"]) == (16, 7)
    assert last["total_duration"] == 1_250_000_000
    assert (last["prompt_eval_duration"], last["eval_duration"]) == (250_000_000, 1_000_000_000)


@pytest.mark.parametrize(
    ("reason", "said"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("content_filter", "stop")]
)
def test_why_an_answer_ended(reason: str, said: str) -> None:
    assert whole({"content": ""}, reason)["done_reason"] == said


def test_what_is_not_known_is_left_out() -> None:
    form = Lines(chat_line, "m", ManualClock())
    form.chunks([chunk(content="x"), chunk("stop")])
    [last] = lines_of(form.end())
    assert last.keys() == {"model", "created_at", "message", "done", "done_reason"}


def test_a_prompts_answer() -> None:
    form = Lines(text_line, "m", ManualClock())
    [line] = lines_of(form.chunks([chunk(content="a", reasoning_content="b")]))
    assert line == {"model": "m", "created_at": NOW, "response": "a", "thinking": "b", "done": False}
    text = b'{"choices":[{"index":0,"text":" on","logprobs":null,"finish_reason":"length"}],"usage":null}'
    form = Lines(text_line, "m", ManualClock())
    assert [line["response"] for line in lines_of(form.chunks([text]))] == [" on"]
    [last] = lines_of(form.end())
    assert (last["response"], last["done_reason"]) == ("", "length")
    assert "message" not in last


def test_thoughts() -> None:
    message = whole({"content": "4", "reasoning_content": "Hm."})["message"]
    assert message == {"role": "assistant", "content": "4", "thinking": "Hm."}
    form = Lines(chat_line, "m", ManualClock())
    [line] = lines_of(form.chunks([chunk(reasoning_content="Hm.")]))
    assert line["message"] == {"role": "assistant", "content": "", "thinking": "Hm."}


def test_a_refusal_is_text() -> None:
    assert whole({"content": None, "refusal": "No."})["message"]["content"] == "No."


def test_tool_calls() -> None:
    called = {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
    assert whole({"content": None, "tool_calls": [CALL]}, "tool_calls")["message"] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [called],
    }
    form = Lines(chat_line, "m", ManualClock())
    said = form.chunks(
        [
            chunk(
                tool_calls=[{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]
            ),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
            chunk(tool_calls=[{"index": 1, "id": "c2", "function": {"name": "g"}}]),
            chunk("tool_calls"),
            END,
        ]
    )
    assert said == b""
    [calls, last] = lines_of(form.end())
    other = {"id": "c2", "function": {"index": 1, "name": "g", "arguments": {}}}
    assert calls["message"] == {"role": "assistant", "content": "", "tool_calls": [called, other]}
    assert (calls["done"], last["done"], last["done_reason"]) == (False, True, "stop")


@pytest.mark.parametrize("arguments", ["{", "[]", "3", '{"a":', "none", "[" * 5000])
def test_arguments_that_are_no_object_are_said_as_text(arguments: str) -> None:
    broken = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": arguments}}
    message = whole({"content": None, "tool_calls": [broken, CALL]}, "tool_calls")["message"]
    assert json.loads(message["content"]) == {"name": "g", "arguments": arguments}
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["f"]


def test_numbers_in_arguments_stay_as_they_are() -> None:
    call = {**CALL, "function": {"name": "f", "arguments": '{"a": 123456789012345678901234567890, "b": 1.50}'}}
    form = Lines(chat_line, "m", ManualClock())
    body = form.whole(inferred(completion({"content": None, "tool_calls": [call]})))
    assert b'{"a": 123456789012345678901234567890, "b": 1.50}' in body


def test_logprobs_of_chats_and_of_texts() -> None:
    entry = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}],
    }
    assert whole({"content": "a"}, logprobs={"content": [entry]})["logprobs"] == [entry]
    columns = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"b": -1.0}], "text_offset": [0]}
    choice = {"index": 0, "text": "a", "logprobs": columns, "finish_reason": "stop"}
    form = Lines(text_line, "m", ManualClock())
    answer = json.loads(form.whole(inferred({"choices": [choice], "usage": USAGE})))
    assert answer["logprobs"] == [entry]
    form = Lines(chat_line, "m", ManualClock())
    streamed = json.dumps(
        {"choices": [{"index": 0, "delta": {"content": ""}, "logprobs": {"content": [entry]}}]}
    ).encode()
    assert lines_of(form.chunks([streamed]))[0]["logprobs"] == [entry]


def test_a_line_has_one_end_whoever_reads_it() -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x1cf\ng"
    form = Lines(chat_line, "m", ManualClock())
    body = form.chunks([chunk(content=text)]) + form.failed(BadRequest(text))
    first, second = body.decode().splitlines()
    assert json.loads(first)["message"]["content"] == json.loads(second)["error"] == text


def test_a_stream_that_fails_ends_with_the_error() -> None:
    form = Lines(chat_line, "m", ManualClock())
    assert lines_of(form.failed(BadRequest("It broke."))) == [{"error": "It broke."}]


@pytest.mark.parametrize("form", [chat_line, text_line])
def test_loading_and_giving_up(form: Any) -> None:
    loaded = Loaded(form, "m", ManualClock())
    message = {"message": {"role": "assistant", "content": ""}} if form is chat_line else {"response": ""}
    begun = {"model": "m", "created_at": NOW, **message, "done": True}
    assert json.loads(loaded.whole(inferred(completion({"content": "."})))) == {**begun, "done_reason": "load"}
    assert json.loads(loaded.given_up()) == {**begun, "done_reason": "unload"}


VECTORS = (
    b'{"object":"list","data":[{"object":"embedding","index":1,"embedding":[0.50]},'
    b'{"object":"embedding","index":0,"embedding":[1e-3]}],"model":"m","usage":{"prompt_tokens":6,"total_tokens":6}}'
)


def test_vectors_come_in_the_order_of_their_inputs_as_they_were_written() -> None:
    clock = ManualClock()
    form = Embedded("m", clock, is_empty=False)
    clock.advance(0.001)
    body = form.whole(inferred(VECTORS))
    assert body == b'{"model":"m","embeddings":[[1e-3],[0.50]],"total_duration":1000000,"prompt_eval_count":6}'


def test_nothing_to_embed_gives_no_vectors() -> None:
    clock = ManualClock()
    assert json.loads(Embedded("m", clock, is_empty=True).whole(inferred(VECTORS))) == {"model": "m", "embeddings": []}
    one = VECTORS.replace(b'{"object":"embedding","index":1,"embedding":[0.50]},', b"")
    assert EmbeddedOne(is_empty=False).whole(inferred(one)) == b'{"embedding":[1e-3]}'
    assert EmbeddedOne(is_empty=True).whole(inferred(one)) == b'{"embedding":[]}'
    with pytest.raises(BackendFailed):
        EmbeddedOne(is_empty=False).whole(inferred(VECTORS))


@pytest.mark.parametrize(
    "nonsense",
    [b"null", b"{}", b"[]", b"{", b'"x"', b'{"choices":[{"delta":{"content":3}}]}', b'{"choices":null}', b"\xff"],
)
def test_what_is_no_answer(nonsense: bytes) -> None:
    with pytest.raises(BackendFailed):
        Lines(chat_line, "m", ManualClock()).chunks([nonsense])
    for form in (Embedded("m", ManualClock(), is_empty=False), EmbeddedOne(is_empty=False)):
        with pytest.raises(BackendFailed):
            form.whole(inferred(nonsense))


def test_an_answer_without_an_end_is_none() -> None:
    form = Lines(chat_line, "m", ManualClock())
    form.chunks([chunk(content="a"), END])
    with pytest.raises(BackendFailed):
        form.end()
    with pytest.raises(BackendFailed):
        Lines(chat_line, "m", ManualClock()).whole(inferred({"choices": [], "usage": USAGE}))


def test_calls_without_end_are_given_up() -> None:
    form = Lines(chat_line, "m", ManualClock())
    with pytest.raises(BackendFailed):
        form.chunks([chunk(tool_calls=[{"index": index} for index in range(129)])])
    form = Lines(chat_line, "m", ManualClock())
    piece = chunk(tool_calls=[{"index": 0, "function": {"arguments": "x" * 1_000_000}}])
    with pytest.raises(BackendFailed):
        form.chunks([piece] * 7)
