"""The WebSocket's messages and conversations under whatever a client says, in whatever order the gateway answers."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import Head, Infer, Inferred, RateLimitInfo, WhoAmI
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge.request import RequestHead
from hyperinfer.edge.ws.messages import read, wanted, written
from hyperinfer.edge.ws.places import Places
from hyperinfer.edge.ws.session import Session
from hyperinfer.errors import BadRequest, ModelNotFound
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway

LIMITS = RateLimitInfo(9, 10, 30, 1)
WHO = WhoAmI("ada", "ada@example.com", "user", "default", LIMITS)
HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None)
ENDS = ("done", "error", "cancelled")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | ANY_JSON.map(json.dumps))
def test_whatever_is_said_is_a_message_or_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        read(text)


@given(ANY_JSON | st.dictionaries(st.sampled_from(["messages", "prompt", "n", "stream", "model"]), ANY_JSON))
def test_whatever_is_requested_is_wanted_or_a_bad_request(request: Any) -> None:
    raw = json.dumps(request).encode()
    with suppress(BadRequest):
        infer, _ = wanted(ws.Start(id="c", request=msgspec.Raw(raw)))
        assert bytes(infer.body) == raw


@given(st.text(), st.text())
def test_texts_arrive_as_they_were(text: str, thinking: str) -> None:
    said = json.loads(written(ws.Delta("c", text, thinking=thinking)))
    assert (said["text"], said.get("thinking", "")) == (text, thinking)


# --- one end for each start -----------------------------------------------------------------------------------

IDS = ("a", "b", "c")
STEP = st.tuples(
    st.sampled_from(["start", "start missing", "start whole", "cancel", "ping", "turn"]), st.sampled_from(IDS)
)


class Wire:
    """A socket without any network: what the client says is put in, what it hears is kept; reads and writes may wait."""

    is_writable = True

    def __init__(self) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []
        self.closed: list[int] = []

    async def send(self, event: Any) -> None:
        await asyncio.sleep(0)
        if event["type"] == "websocket.close":
            self.closed.append(event["code"])
        else:
            self.heard.append(json.loads(event["text"]))

    def take_up_to(self, size_bytes: int) -> None: ...

    def on_stop(self, callback: object) -> None: ...

    def cut(self) -> None: ...


async def infer(request: Infer, meta: Meta, sink: Send | None) -> Inferred:
    """Three words, with a wait before each of them."""
    body = json.loads(bytes(request.body))
    await asyncio.sleep(0)
    if body["model"] == "missing":
        raise ModelNotFound("No.", param="model")
    if sink is not None:
        await sink([msgspec.json.encode(Head("w", "m"))])
        for word in ("one", "two", "three"):
            await asyncio.sleep(0)
            await sink([json.dumps({"choices": [{"delta": {"content": word}}]}).encode()])
    completion = msgspec.Raw(b'{"choices":[{"message":{}}]}')
    return Inferred(Processed(Usage(1, 3), "stop", "m", completion=completion), Head("w", "m"))


async def who(request: Nothing, meta: Meta, sink: Send | None) -> WhoAmI:
    return WHO


async def conversed(steps: Sequence[tuple[str, str]]) -> tuple[list[dict[str, Any]], int]:
    """What is heard when a client does this, waits until nothing moves, and leaves; and how many starts were said."""
    wire = Wire()
    with Places(1).taken() as place:
        session = Session(
            FakeGateway(whoAmI=who, processInferenceRequest=infer),
            HEAD,
            receive=wire.said.get,
            send=wire.send,
            socket=wire,
            place=place,
            message_bytes=1000,
            timeout_s=5.0,
        )
        running = asyncio.create_task(session.run(WHO))
        starts = 0
        for what, conversation in steps:
            message: dict[str, Any] = {"type": what, "id": conversation}
            if what == "turn":
                await asyncio.sleep(0)
                continue
            if what == "ping":
                message = {"type": "ping"}
            if what.startswith("start"):
                starts += 1
                request = {"model": what.removeprefix("start ") or "m", "messages": [], "stream": "whole" not in what}
                message = {"type": "start", "id": conversation, "request": request}
            wire.said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})
        for _ in range(500):
            await asyncio.sleep(0)
        wire.said.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(running, 5)
    assert wire.closed == []
    return wire.heard, starts


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25))
@example([("start", "a"), ("cancel", "a"), ("start", "a")])
@example([("start missing", "a"), ("turn", "a"), ("turn", "a"), ("turn", "a"), ("cancel", "a")])
def test_every_start_has_one_end_and_nothing_is_said_after_it(steps: list[tuple[str, str]]) -> None:
    heard, starts = asyncio.run(conversed(steps))
    refused = sum(message["type"] == "error" and "id" not in message for message in heard)
    ends = Counter(message["id"] for message in heard if message["type"] in ENDS and "id" in message)
    assert sum(ends.values()) + refused == starts
    under_way: dict[str, str] = {}
    for message in heard:
        kind, conversation = message["type"], message.get("id")
        if conversation is None:
            continue
        if kind == "started":
            assert conversation not in under_way
            under_way[conversation] = ""
        elif kind == "delta":
            under_way[conversation] += message["text"]
        else:
            text = under_way.pop(conversation, "")
            assert kind != "done" or text in ("onetwothree", "")
    assert under_way == {}
