"""However an answer of the swarm's is cut into chunks, its lines put together are the whole answer in Ollama's form."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.edge.dialects.ollama.answers import Lines, chat_line
from hyperinfer.edge.dialects.ollama.reading import READERS
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import BadRequest
from hyperinfer.testing.clock import ManualClock

HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
objects = st.dictionaries(texts, st.one_of(st.integers(), st.booleans(), texts), max_size=3)
arguments = st.one_of(objects.map(json.dumps), texts)
calls = st.lists(st.tuples(st.sampled_from(["f", "g.h"]), arguments), max_size=3)
pieces = st.lists(st.tuples(st.sampled_from(["content", "reasoning_content"]), texts), max_size=8)
cuts = st.lists(st.integers(0, 30), max_size=6)
entry = {"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": []}


def cut(text: str, places: list[int]) -> list[str]:
    ends = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:stop] for start, stop in pairwise(ends)]


def chunk(reason: str | None = None, logprobs: Any = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return json.dumps({"choices": [choice]}).encode()


def told(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """An answer put together from its lines, as a client does."""
    *_, last = lines
    message: dict[str, Any] = {"content": "", "thinking": "", "tool_calls": []}
    logprobs: list[Any] = []
    for line in lines:
        message["content"] += line["message"]["content"]
        message["thinking"] += line["message"].get("thinking", "")
        message["tool_calls"] += line["message"].get("tool_calls", [])
        logprobs += line.get("logprobs", [])
    return {**{name: last[name] for name in ("done", "done_reason", "eval_count")}, **message, "logprobs": logprobs}


@given(pieces, calls, cuts, st.sampled_from(["stop", "length", "tool_calls"]), st.data())
@settings(deadline=None)
def test_lines_put_together_are_the_whole_answer(
    said: list[tuple[str, str]], called: list[tuple[str, str]], places: list[int], reason: str, data: st.DataObject
) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    chunks = [chunk(role="assistant", content="")]
    chunks += (chunk(logprobs={"content": [entry]}, **{kind: text}) for kind, text in said)
    for index, (name, text) in enumerate(called):
        function = {"name": name, "arguments": ""}
        chunks.append(chunk(tool_calls=[{"index": index, "id": f"c{index}", "type": "function", "function": function}]))
        chunks += (chunk(tool_calls=[{"index": index, "function": {"arguments": part}}]) for part in cut(text, places))
    chunks += [chunk(reason), json.dumps({"choices": [], "usage": usage}).encode()]

    form = Lines(chat_line, "m", ManualClock())
    stream = b""
    while chunks:
        size = data.draw(st.integers(1, len(chunks)))
        stream += form.chunks(chunks[:size])
        del chunks[:size]
    stream += form.end()
    lines = [json.loads(line) for line in stream.decode().splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]

    message = {
        "content": "".join(text for kind, text in said if kind == "content") or None,
        "reasoning_content": "".join(text for kind, text in said if kind == "reasoning_content") or None,
        "tool_calls": [
            {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": text}}
            for index, (name, text) in enumerate(called)
        ],
    }
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": {"content": [entry] * len(said)}}
    completion = msgspec.Raw(json.dumps({"choices": [choice], "usage": usage}).encode())
    processed = Processed(usage=Usage(), finish_reason=reason, model="m", completion=completion)
    whole = json.loads(
        Lines(chat_line, "m", ManualClock()).whole(Inferred(processed=processed, head=Head(worker="ab")))
    )
    assert told(lines) == told([whole])


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
FIELDS = ("messages", "prompt", "input", "options", "format", "think", "tools", "keep_alive", "images", "suffix", "raw")


@given(st.sampled_from(list(READERS)), st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4))
@settings(deadline=None)
def test_no_request_does_more_than_be_refused(path: str, fields: dict[str, Any]) -> None:
    with suppress(BadRequest):
        READERS[path](json.dumps({"model": "m", **fields}).encode(), HEAD)
