"""Streamed responses, whatever a model says in whatever pieces: events keep their order, and put together they are the response."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import openai
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.dialects.openai_responses.answers import asked_for
from hyperinfer.edge.dialects.openai_responses.form import ResponseForm
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.errors import PeerLost
from hyperinfer.testing.clock import ManualClock

Json = dict[str, Any]
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
STAMP = {"id": "chatcmpl-1", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

texts = st.text(min_size=1, max_size=12)
thoughts = texts.map(lambda text: {"reasoning_content": text})
sayings = texts.map(lambda text: {"content": text})
refusals = texts.map(lambda text: {"refusal": text})
calls = st.tuples(st.integers(0, 2), texts).map(
    lambda one: {
        "tool_calls": [{"index": one[0], "id": f"call_{one[0]}", "function": {"name": "f", "arguments": one[1]}}]
    }
)
anything = st.lists(st.one_of(thoughts, sayings, refusals, calls), max_size=12)
in_order = st.tuples(
    st.lists(thoughts, max_size=4),
    st.lists(sayings, max_size=4),
    st.lists(refusals, max_size=2),
    st.lists(calls, max_size=6),
).map(lambda parts: [delta for part in parts for delta in part])
reasons = st.sampled_from(["stop", "tool_calls", "length", "content_filter"])


def form() -> ResponseForm:
    return ResponseForm(asked_for(ResponseRequest(input="hi")), clock=ManualClock())


def chunk(delta: Json, reason: str | None = None) -> bytes:
    return json.dumps({**STAMP, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()


def streamed(deltas: Sequence[Json], reason: str) -> list[Json]:
    one = form()
    chunks = [*map(chunk, deltas), chunk({}, reason), json.dumps({**STAMP, "choices": [], "usage": USAGE}).encode()]
    return events_of(one.chunks(chunks) + one.end())


def events_of(data: bytes) -> list[Json]:
    return [json.loads(event.split("\ndata: ")[1]) for event in data.decode().removesuffix("\n\n").split("\n\n")]


def whole(deltas: Sequence[Json], reason: str) -> Json:
    """The response to the same answer, which a worker has put together."""

    def joined(name: str) -> str:
        return "".join(delta.get(name, "") for delta in deltas)

    pieces: dict[int, list[Json]] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls", ())):
        pieces.setdefault(piece["index"], []).append(piece)
    called = [
        {
            "id": parts[0]["id"],
            "function": {"name": "f", "arguments": "".join(one["function"]["arguments"] for one in parts)},
        }
        for parts in pieces.values()
    ]
    message = {
        "content": joined("content"),
        "reasoning_content": joined("reasoning_content"),
        "refusal": joined("refusal"),
    }
    choice = {"index": 0, "message": {**message, "tool_calls": called}, "finish_reason": reason}
    completion = msgspec.Raw(json.dumps({**STAMP, "choices": [choice], "usage": USAGE}).encode())
    processed = Processed(usage=Usage(3, 4), finish_reason=reason, model="m", completion=completion)
    response: Json = json.loads(form().whole(Inferred(processed=processed, head=Head(worker="ab"))))
    return response


class Together:
    """Puts events together, and holds them to their order."""

    def __init__(self) -> None:
        self.output: list[Json] = []
        self._open: set[int] = set()
        self._part_open = False

    @property
    def all_done(self) -> bool:
        return not self._open

    def take(self, event: Json) -> None:
        what, *how = event["type"].removeprefix("response.").split(".")
        if what == "output_item":
            getattr(self, f"_item_{how[0]}")(event)
        else:
            item = self.output[event["output_index"]]
            assert event["output_index"] in self._open
            assert event["item_id"] == item["id"]
            if what == "function_call_arguments":
                self._arguments(item, event, how[0])
            elif what == "content_part":
                getattr(self, f"_part_{how[0]}")(item, event)
            else:
                self._text(item["content"][event["content_index"]], what, event, how[0])

    def _item_added(self, event: Json) -> None:
        assert event["output_index"] == len(self.output)
        assert event["item"]["status"] == "in_progress"
        speaking = [index for index in self._open if self.output[index]["type"] != "function_call"]
        assert not speaking, "one is heard out before the next one begins"
        self._open.add(event["output_index"])
        self.output.append(event["item"])

    def _item_done(self, event: Json) -> None:
        index = event["output_index"]
        self._open.remove(index)
        assert {**self.output[index], "status": event["item"]["status"]} == event["item"]
        assert event["item"]["type"] == "function_call" or not self._part_open
        self.output[index] = event["item"]

    def _part_added(self, item: Json, event: Json) -> None:
        assert not self._part_open
        assert event["content_index"] == len(item["content"])
        self._part_open = True
        item["content"].append(event["part"])

    def _part_done(self, item: Json, event: Json) -> None:
        assert item["content"][event["content_index"]] == event["part"]
        assert event["content_index"] == len(item["content"]) - 1
        self._part_open = False

    def _text(self, part: Json, what: str, event: Json, how: str) -> None:
        assert self._part_open
        assert part["type"] == what
        name = "refusal" if what == "refusal" else "text"
        if how == "delta":
            part[name] += event["delta"]
        else:
            assert part[name] == event[name]

    def _arguments(self, item: Json, event: Json, how: str) -> None:
        if how == "delta":
            item["arguments"] += event["delta"]
        else:
            assert item["arguments"] == event["arguments"]


@settings(deadline=None)
@given(anything, reasons)
def test_events_put_together_are_the_response(deltas: list[Json], reason: str) -> None:
    created, in_progress, *steps, last = streamed(deltas, reason)
    assert [created["type"], in_progress["type"]] == ["response.created", "response.in_progress"]
    together = Together()
    for step in steps:
        together.take(step)
    response = last["response"]
    assert together.all_done
    assert together.output == response["output"]
    status = "incomplete" if reason in ("length", "content_filter") else "completed"
    assert last["type"] == f"response.{status}"
    assert (response["status"], response["usage"]["total_tokens"]) == (status, 7)
    own = {name: response[name] for name in ("status", "output", "usage", "completed_at", "incomplete_details")}
    assert created["response"] | own == in_progress["response"] | own == response


@settings(deadline=None)
@given(anything, reasons)
def test_the_official_client_reads_every_event_and_comes_to_the_same(deltas: list[Json], reason: str) -> None:
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=openai.omit, text_format=openai.omit)
    events = streamed(deltas, reason)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        parsed = EVENTS.validate_python(event, strict=True)
        assert parsed.type == event["type"]
        state.handle_event(parsed)
    if events[-1]["type"] == "response.completed":
        assert state._completed_response is not None
        assert len(state._completed_response.output) == len(events[-1]["response"]["output"])


@settings(deadline=None)
@given(in_order, reasons)
def test_whole_and_streamed_are_the_same(deltas: list[Json], reason: str) -> None:
    assert streamed(deltas, reason)[-1]["response"] == whole(deltas, reason)


@settings(deadline=None)
@given(anything, st.lists(st.integers(1, 5), max_size=6))
def test_how_chunks_come_together_changes_nothing(deltas: list[Json], sizes: list[int]) -> None:
    chunks = [*map(chunk, deltas), chunk({}, "stop")]
    once, piecemeal = form(), form()
    together = once.chunks(chunks) + once.end()
    data, rest = b"", chunks
    for size in sizes:
        data += piecemeal.chunks(rest[:size])
        rest = rest[size:]
    assert data + piecemeal.chunks(rest) + piecemeal.end() == together


@settings(deadline=None)
@given(anything.filter(bool))
def test_a_stream_that_breaks_off_tells_all_that_was_said(deltas: list[Json]) -> None:
    one = form()
    begun = events_of(one.chunks(list(map(chunk, deltas))))
    failed, error = events_of(one.failed(PeerLost("Lost.")))
    together = Together()
    for step in begun[2:]:
        together.take(step)
    for item in together.output:
        item["status"] = "incomplete" if item["status"] == "in_progress" else item["status"]
    assert failed["response"]["output"] == together.output
    assert [EVENTS.validate_python(event, strict=True).type for event in (failed, error)] == [
        "response.failed",
        "error",
    ]
