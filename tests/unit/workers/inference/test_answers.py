"""What goes out is OpenAI's JSON with the gateway's stamp, whatever the model says."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from hyperinfer.contracts.openai import CompletionUsage, Delta
from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference import answers
from hyperinfer.workers.inference.answers import Stamp, StreamedAnswer, WholeAnswer
from hyperinfer.workers.inference.backends import End

STAMP = Stamp(id='id"1', created=17, model="módel")
END = End("stop", CompletionUsage(prompt_tokens=2, completion_tokens=3, total_tokens=5))
ODD = 'quote " backslash \\ nul \x00 line\n\ndata: [DONE]\n\n 🙃 \u2028'


class Kept:
    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    async def __call__(self, chunks: Sequence[bytes]) -> None:
        assert all(b"\n" not in chunk for chunk in chunks)
        self.batches.append([json.loads(chunk) for chunk in chunks])

    @property
    def chunks(self) -> list[Any]:
        return [chunk for batch in self.batches for chunk in batch]


async def test_a_streamed_answer() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=False)
    await answer.take([Delta(content="a"), Delta(content=ODD)])
    await answer.take([Delta(reasoning_content="hm")])
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
    assert [len(batch) for batch in kept.batches] == [3, 1, 1], "the role comes with the first text"


async def test_usage_comes_last_where_it_was_asked_for() -> None:
    kept = Kept()
    answer = StreamedAnswer(STAMP, kept, with_usage=True)
    await answer.take([Delta(content="a")])
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
    await answer.take([Delta(reasoning_content="h"), Delta(reasoning_content="m"), Delta(content="a")])
    await answer.take([Delta(content=ODD)])
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


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_ANSWER_CHARS", 10)
    answer = WholeAnswer(STAMP)
    await answer.take([Delta(content="x" * 10)])
    with pytest.raises(BackendFailed):
        await answer.take([Delta(content="x")])
