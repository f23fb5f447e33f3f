"""What goes out is OpenAI's JSON with the gateway's stamp, whatever the model says."""

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import UNSET, Raw

from hyperinfer.contracts.inference import Began
from hyperinfer.contracts.openai import ChunkChoice, CompletionUsage, Delta, EmbeddingRequest
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.workers.inference.answers import Stamp, StreamedAnswer, WholeAnswer, embedded, embeddings, whole
from hyperinfer.workers.inference.backends import Embedded, End

STAMP = Stamp(id='id"1', created=17, model="módel")
TEXT = Stamp(id="t", created=17, model="m", kind="completion")
END = End.of("stop", 2, 3)
ODD = 'quote " backslash \\ nul \x00 line\n\ndata: [DONE]\n\n 🙃 \u2028'


def piece(index: int = 0, logprobs: Any = None, **delta: Any) -> ChunkChoice:
    told: Any = UNSET if logprobs is None else Raw(json.dumps(logprobs).encode())
    return ChunkChoice(Delta(**delta), index=index, logprobs=told)


def calling(*deltas: dict[str, Any]) -> ChunkChoice:
    return piece(tool_calls=Raw(json.dumps(deltas).encode()))


def logprobs_of(*words: str) -> dict[str, Any]:
    return {
        "content": [
            {"token": word, "logprob": -1.5, "top_logprobs": [{"token": "x", "logprob": -2.0}]} for word in words
        ]
    }


class Kept:
    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    async def __call__(self, chunks: Sequence[bytes]) -> None:
        assert all(b"\n" not in chunk for chunk in chunks)
        self.batches.append([json.loads(chunk) for chunk in chunks])

    @property
    def chunks(self) -> list[Any]:
        """What comes after the first, which says how it began."""
        began, *chunks = [chunk for batch in self.batches for chunk in batch]
        assert began == {"queuedS": 0.0, "cache": ""}
        return chunks


async def test_a_streamed_answer() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=False)
    await answer.take([piece(content="a"), piece(content=ODD)])
    await answer.take([piece(reasoning_content="hm")])
    await answer.end(END)
    base = {"id": 'id"1', "object": "chat.completion.chunk", "created": 17, "model": "módel"}
    deltas: list[dict[str, str]] = [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": ODD},
        {"reasoning_content": "hm"},
        {},
    ]
    reasons = [None, None, None, None, "stop"]
    assert kept.chunks == [
        base | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in zip(deltas, reasons, strict=True)
    ]
    assert [len(batch) for batch in kept.batches] == [4, 1, 1], "the role comes with the first text"


async def test_usage_comes_last_where_it_was_asked_for() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=True)
    await answer.take([piece(content="a")])
    await answer.end(END)
    assert [chunk["usage"] for chunk in kept.chunks[:-1]] == [None] * 3
    assert kept.chunks[-1]["choices"] == []
    assert kept.chunks[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


async def test_an_answer_without_a_word_still_has_its_role() -> None:
    kept = Kept()
    await StreamedAnswer(STAMP, kept, with_usage=False).end(END)
    assert [chunk["choices"][0]["delta"] for chunk in kept.chunks] == [{"role": "assistant", "content": ""}, {}]


async def test_a_whole_answer() -> None:
    answer = WholeAnswer(STAMP)
    await answer.take([piece(reasoning_content="h"), piece(reasoning_content="m"), piece(content="a")])
    await answer.take([piece(content=ODD)])
    completion = json.loads(bytes(await answer.end(END)))
    assert completion == {
        "id": 'id"1',
        "object": "chat.completion",
        "created": 17,
        "model": "módel",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "a" + ODD,
                    "refusal": None,
                    "reasoning_content": "hm",
                },
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }


async def test_the_text_that_ended_it_is_told() -> None:
    end = replace(END, stopped_by="END")
    kept = Kept()
    await StreamedAnswer(STAMP, kept, with_usage=False).end(end)
    [choice] = kept.chunks[-1]["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")
    [choice] = json.loads(bytes(await WholeAnswer(STAMP).end(end)))["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MAX_ANSWER_BYTES", 10)
    answer = WholeAnswer(STAMP)
    await answer.take([piece(content="x" * 10)])
    with pytest.raises(BackendFailed):
        await answer.take([piece(content="x")])


async def test_what_is_known_when_it_begins_is_said_first() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=False)
    answer.began = Began(queued_s=1.5, cache="hit")
    await answer.take([piece(content="a")])
    assert kept.batches[0][0] == {"queuedS": 1.5, "cache": "hit"}


async def test_of_an_answer_that_is_gone_on_with_only_the_rest_is_sent() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=False, continues=True)
    await answer.take([piece(content="b")])
    await answer.end(END)
    assert [chunk["choices"][0]["delta"] for chunk in kept.chunks] == [{"content": "b"}, {}]


async def test_several_answers_have_a_role_and_an_end_each() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=False)
    await answer.take([piece(content="a"), piece(1, content="b"), piece(content="c")])
    await answer.end(End(("stop", "length"), CompletionUsage.of(1, 3)))
    said = [
        (choice["index"], choice["delta"], choice["finish_reason"]) for [choice] in (c["choices"] for c in kept.chunks)
    ]
    role = {"role": "assistant", "content": ""}
    assert said == [
        (0, role, None),
        (0, {"content": "a"}, None),
        (1, role, None),
        (1, {"content": "b"}, None),
        (0, {"content": "c"}, None),
        (0, {}, "stop"),
        (1, {}, "length"),
    ]
    together = WholeAnswer(STAMP)
    await together.take([piece(1, content="b"), piece(content="a"), piece(content="c")])
    completion = json.loads(bytes(await together.end(End(("stop", "length"), CompletionUsage.of(1, 3)))))
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in completion["choices"]] == [
        (0, "ac", "stop"),
        (1, "b", "length"),
    ]


CALL = (
    calling({"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}),
    calling({"index": 0, "function": {"arguments": '{"a":'}}, {"index": 1, "id": "c2", "function": {"name": "g"}}),
    calling({"index": 0, "function": {"arguments": "1}"}}, {"index": 1, "function": {"arguments": "{}"}}),
)


async def test_tool_calls_are_passed_on_and_put_together() -> None:
    kept = Kept()
    await StreamedAnswer(STAMP, kept, with_usage=False).take(CALL)
    assert kept.chunks[1]["choices"][0]["delta"]["tool_calls"][0]["id"] == "c1"
    answer = WholeAnswer(STAMP)
    await answer.take(CALL)
    message = json.loads(bytes(await answer.end(End.of("tool_calls", 1, 1))))["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}, "type": "function"},
        {"id": "c2", "function": {"name": "g", "arguments": "{}"}, "type": "function"},
    ]


@pytest.mark.parametrize("raw", [b'{"a":1}', b'[{"index":"x"}]'])
async def test_tool_calls_that_are_none_are_a_failure_of_the_backend(raw: bytes) -> None:
    with pytest.raises(BackendFailed):
        await WholeAnswer(STAMP).take([piece(tool_calls=Raw(raw))])


async def test_logprobs_are_passed_on_and_put_together() -> None:
    kept = Kept()
    pieces = [piece(content="a", logprobs=logprobs_of("a")), piece(content="b", logprobs=logprobs_of("b"))]
    await StreamedAnswer(STAMP, kept, with_usage=False).take(pieces)
    assert kept.chunks[1]["choices"][0]["logprobs"] == logprobs_of("a")
    answer = WholeAnswer(STAMP)
    await answer.take(pieces)
    told = json.loads(bytes(await answer.end(END)))["choices"][0]["logprobs"]
    assert told == logprobs_of("a", "b") | {"refusal": None}


async def test_texts_are_gone_on_with_in_the_older_form() -> None:
    kept = Kept()
    pieces = [piece(content="a", logprobs=logprobs_of("a")), piece(content="bc", logprobs=logprobs_of("bc"))]
    answer = StreamedAnswer(TEXT, kept, with_usage=True)
    await answer.take([*pieces, piece(content="d")])
    await answer.end(END)
    base = {"id": "t", "object": "text_completion", "created": 17, "model": "m"}
    columns = {"token_logprobs": [-1.5], "top_logprobs": [{"x": -2.0}]}
    none = {"index": 0, "logprobs": None}
    assert [chunk["choices"] for chunk in kept.chunks] == [
        [none | {"logprobs": {"tokens": ["a"], "text_offset": [0], **columns}, "text": "a", "finish_reason": None}],
        [none | {"logprobs": {"tokens": ["bc"], "text_offset": [1], **columns}, "text": "bc", "finish_reason": None}],
        [none | {"text": "d", "finish_reason": None}],
        [none | {"text": "", "finish_reason": "stop"}],
        [],
    ]
    assert all(base.items() <= chunk.items() for chunk in kept.chunks)
    together = WholeAnswer(TEXT)
    await together.take(pieces)
    whole_one = json.loads(bytes(await together.end(END)))
    [choice] = whole_one["choices"]
    assert (whole_one["object"], choice["text"], choice["finish_reason"]) == ("text_completion", "abc", "stop")
    assert choice["logprobs"]["text_offset"] == [0, 1]


def test_embeddings_are_numbers_or_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = (0.5, -1.25)
    result = Embedded((struct.pack("<2f", *numbers),), 3)
    stamp = Stamp("e", 17, "m", "embedding")
    told = json.loads(bytes(embeddings(stamp, EmbeddingRequest(input="x"), result)))
    assert told["data"] == [{"object": "embedding", "index": 0, "embedding": list(numbers)}]
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert (told["object"], told["model"]) == ("list", "m")
    told = json.loads(bytes(embeddings(stamp, EmbeddingRequest(input="x", encoding_format="base64"), result)))
    assert struct.unpack("<2f", base64.b64decode(told["data"][0]["embedding"])) == numbers
    with pytest.raises(BackendFailed):
        embeddings(stamp, EmbeddingRequest(input="x"), Embedded((b"abc",), 1))
    monkeypatch.setattr(embedded, "MAX_REPLY_BYTES", 10)
    too_large_before_it_is_wrong = Embedded((*result.vectors, b"abc"), 3)
    with pytest.raises(BadRequest) as refused:
        embeddings(stamp, EmbeddingRequest(input="x"), too_large_before_it_is_wrong)
    assert refused.value.details["param"] == "input"
