"""However an answer is cut into chunks, Anthropic's own client puts the events together to what the whole answer says."""

import json
from typing import Any, cast

import msgspec
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, ParsedMessage, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hyperinfer.edge.dialects.anthropic.answers import message
from hyperinfer.edge.dialects.anthropic.read import MessageForm

EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)

texts = st.text(max_size=20)
leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts
objects = st.dictionaries(
    texts, leaves | st.lists(leaves, max_size=3) | st.dictionaries(texts, leaves, max_size=3), max_size=3
)
answers = st.fixed_dictionaries(
    {
        "thoughts": texts,
        "text": texts,
        "calls": st.lists(st.tuples(st.from_regex(r"\A[a-z_]{1,9}\Z"), objects), max_size=3),
        "reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        "prompt_tokens": st.integers(0, 10_000),
        "cached": st.integers(0, 10_000),
        "tokens": st.integers(0, 10_000),
    }
)


@given(answers, st.data())
def test_events_come_to_the_whole_answer(answer: dict[str, Any], data: st.DataObject) -> None:
    calls = [(f"call_{at}", name, json.dumps(given)) for at, (name, given) in enumerate(answer["calls"])]
    usage = {
        "prompt_tokens": answer["prompt_tokens"],
        "completion_tokens": answer["tokens"],
        "prompt_tokens_details": {"cached_tokens": answer["cached"]},
    }
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += ({"reasoning_content": part} for part in _cut(answer["thoughts"], data))
    deltas += ({"content": part} for part in _cut(answer["text"], data))
    for at, (name, function, arguments) in enumerate(calls):
        begins: dict[str, Any] = {"index": at, "id": name, "function": {"name": function, "arguments": ""}}
        deltas.append({"tool_calls": [begins]})
        parts = _cut(arguments, data)
        deltas += ({"tool_calls": [{"index": at, "function": {"arguments": part}}]} for part in parts)
    stamp = {"id": "chatcmpl-1", "model": "m"}
    chunks: list[dict[str, Any]] = [
        {**stamp, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({**stamp, "choices": [{"index": 0, "delta": {}, "finish_reason": answer["reason"]}]})
    chunks.append({**stamp, "choices": [], "usage": usage})
    said = {
        "content": answer["text"] or None,
        "reasoning_content": answer["thoughts"] or None,
        "tool_calls": [
            {"id": name, "function": {"name": function, "arguments": arguments}} for name, function, arguments in calls
        ],
    }
    completion: dict[str, Any] = {
        **stamp,
        "choices": [{"message": said, "finish_reason": answer["reason"]}],
        "usage": usage,
    }

    form = MessageForm(prompt_tokens=1, shows_thinking=True, request_id="r")
    encoded = [json.dumps(chunk).encode() for chunk in chunks]
    stream = b""
    while encoded:
        size = data.draw(st.integers(1, len(encoded)))
        stream += form.chunks(encoded[:size])
        encoded = encoded[size:]
    put_together = _put_together(stream + form.end())
    whole = Message.model_validate_json(_json(message(json.dumps(completion).encode())))
    assert put_together.to_dict() == {**whole.to_dict(), "stop_details": None}


def _cut(text: str, data: st.DataObject) -> list[str]:
    """The text in pieces, some of them empty."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _put_together(stream: bytes) -> ParsedMessage[Any]:
    snapshot: ParsedMessage[Any] | None = None
    buffers: dict[int, bytes] = {}
    for event in stream.decode().split("\n\n")[:-1]:
        name, told = event.split("\n")
        if name != "event: ping":
            parsed = EVENT.validate_json(told.removeprefix("data: "))
            snapshot = accumulate_event(event=parsed, current_snapshot=snapshot, json_bufs=buffers)
    return cast(ParsedMessage[Any], snapshot)


def _json(struct: Any) -> bytes:
    return msgspec.json.encode(struct)
