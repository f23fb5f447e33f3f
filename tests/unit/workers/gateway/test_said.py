"""What has been said is known to the letter, and that it is not all there is."""

import json
from typing import Any

import pytest
from msgspec import Raw

from hyperinfer.contracts.inference import Continued
from hyperinfer.workers.gateway import said as module
from hyperinfer.workers.gateway.asked import read
from hyperinfer.workers.gateway.said import MAX_UNREAD, Said


def chunk(finish_reason: str | None = None, **delta: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}).encode()


def text(said: str) -> bytes:
    return json.dumps({"choices": [{"index": 0, "text": said, "finish_reason": None}]}).encode()


def test_texts_are_put_together_and_counted() -> None:
    said = Said()
    said.take([chunk(role="assistant", content=""), chunk(content='a"\\ñ')])
    said.take([chunk(content="\u2028🙃")])
    assert said.continued == Continued('a"\\ñ\u2028🙃', 2)
    said.take([chunk("stop"), b'{"choices":[],"usage":{}}'])
    assert said.finished
    assert said.continued is None


def test_texts_of_the_older_kind_too() -> None:
    said = Said()
    said.take([text("a"), text(""), text("b")])
    assert said.continued == Continued("ab", 2)


def test_long_answers_are_read_as_they_come() -> None:
    said = Said()
    for _ in range(5 * MAX_UNREAD):
        said.take([chunk(content="x")])
    assert said.continued == Continued("x" * 5 * MAX_UNREAD, 5 * MAX_UNREAD)


@pytest.mark.parametrize("delta", [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}])
def test_what_is_more_than_text_cannot_be_gone_on_with(delta: dict[str, Any]) -> None:
    said = Said()
    said.take([chunk(content="a"), chunk(**delta), chunk(content="b")])
    assert said.continued is None


def test_what_is_too_long_or_no_chunk_cannot_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 5)
    long, odd = Said(), Said()
    long.take([chunk(content="123456")])
    odd.take([b"nonsense"])
    odd.take([chunk(content="a")])
    assert long.continued is None
    assert odd.continued is None


@pytest.mark.parametrize(
    ("fields", "resumable"),
    [
        ({}, True),
        ({"n": 1, "tools": None, "logprobs": False, "response_format": {"type": "text"}}, True),
        ({"prompt": "x"}, True),
        ({"n": 2}, False),
        ({"tools": [{}]}, False),
        ({"logprobs": True}, False),
        ({"logprobs": 0}, False),
        ({"suffix": "x"}, False),
        ({"response_format": {"type": "json_object"}}, False),
        ({"input": "x"}, False),
    ],
)
def test_which_requests_may_be_gone_on_with(fields: dict[str, Any], resumable: bool) -> None:
    assert read(Raw(json.dumps(fields).encode())).is_resumable is resumable


def test_what_is_reserved() -> None:
    def reserved(**fields: Any) -> int:
        return read(Raw(json.dumps(fields, separators=(",", ":")).encode())).reservation

    assert reserved(prompt="x" * 38, max_tokens=5) == 10 + 5
    assert reserved(prompt="x" * 38, max_tokens=5, n=3) == 10 + 15
    assert reserved(input="x" * 38) == 10, "embeddings have no answer to reserve for"
