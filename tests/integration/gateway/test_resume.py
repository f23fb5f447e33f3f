"""A stream that is cut goes on where it was, on another worker; where it cannot, it says that it has failed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.contracts.inference import Continued, Processed, ProcessRequest, Usage
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.inference import FakeInference

from .conftest import house

WORDS = ("one", " two", " three", " four", " five", " six")
TOOL = {"type": "function", "function": {"name": "f"}}


def chunk(text: str = "", finish_reason: str | None = None, **delta: Any) -> bytes:
    said = {"content": text} if text else {}
    return json.dumps({"choices": [{"index": 0, "delta": said | delta, "finish_reason": finish_reason}]}).encode()


class Teller:
    """Workers that tell the same words, each to a certain one, where it does what the test says."""

    def __init__(self, *, workers: int = 2, stops_after: int = 3, capable: bool = True) -> None:
        self.inferences = [FakeInference("m") for _ in range(workers)]
        self.asked: list[tuple[FakeInference, Continued | None]] = []
        self.stops_after = stops_after
        self.cuts = 1
        self.cut: Callable[[FakeInference], Awaitable[None]] = self.fail
        for inference in self.inferences:
            inference.report(capabilities=("chat", "continues") if capable else ("chat",))
            inference.answer = self._teller(inference)

    async def fail(self, inference: FakeInference) -> None:
        raise BackendFailed("It broke off.")

    def _teller(self, inference: FakeInference) -> Callable[[ProcessRequest, Call], Awaitable[Processed]]:
        async def answer(request: ProcessRequest, call: Call) -> Processed:
            assert call.send
            continued = request.continues
            self.asked.append((inference, continued))
            said = continued.text if continued else ""
            start = next(number for number in range(len(WORDS)) if "".join(WORDS[:number]) == said)
            for index in range(start, len(WORDS)):
                if self.cuts and index == start + self.stops_after:
                    self.cuts -= 1
                    await self.cut(inference)
                await call.send([chunk(WORDS[index])])
            await call.send([chunk(finish_reason="stop")])
            return Processed(usage=Usage(4, len(WORDS)), finish_reason="stop", model="m")

        return answer


def text_of(stream: str) -> str:
    events = [line[6:] for line in stream.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    return "".join(
        json.loads(event)["choices"][0]["delta"].get("content", "") for event in events if "choices" in event
    )


async def test_a_stream_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    teller = Teller()
    async with house(tmp_path, *teller.inferences) as running:
        status, stream = await running.stream()
    assert status == 200
    assert text_of(stream) == "".join(WORDS)
    assert stream.endswith("data: [DONE]\n\n")
    assert stream.count("finish_reason") == len(WORDS) + 1, "every chunk came once"
    [(first, no_text), (second, continued)] = teller.asked
    assert first is not second
    assert (no_text, continued) == (None, Continued("one two three", 3))


async def test_an_answer_whose_beginning_is_given_goes_on_after_that_and_what_was_said(tmp_path: Path) -> None:
    teller = Teller()
    turns = [{"role": "user", "content": "count"}, {"role": "assistant", "content": "one"}]
    asked = {"model": "m", "max_tokens": 9, "stream": True, "messages": turns}
    async with house(tmp_path, *teller.inferences) as running, running.http.post("/v1/messages", json=asked) as reply:
        assert reply.status == 200
        stream = await reply.text()
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"] == [*WORDS[1:]]
    assert [continued for _, continued in teller.asked] == [Continued("one", 0), Continued("one two three four", 3)]


async def test_it_goes_on_again_and_again_within_bounds(tmp_path: Path) -> None:
    teller = Teller(workers=3, stops_after=1)
    teller.cuts = 3
    async with house(tmp_path, *teller.inferences) as running:
        assert text_of((await running.stream())[1]) == "".join(WORDS)
        assert len(teller.asked) == 4
        teller.cuts = 4
        _, stream = await running.stream()
        assert '"code":"backend_failed"' in stream
        assert "[DONE]" not in stream


async def test_a_worker_that_is_lost_is_gone_on_for(tmp_path: Path) -> None:
    teller = Teller()
    cut = asyncio.Queue[FakeInference](1)

    async def hang(inference: FakeInference) -> None:
        cut.put_nowait(inference)
        await asyncio.Event().wait()

    teller.cut = hang
    async with house(tmp_path, *teller.inferences) as running, asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(running.stream())
        number = teller.inferences.index(await cut.get())
        await running.kill(f"inference-{number}")
        assert text_of((await asking)[1]) == "".join(WORDS)


async def test_a_worker_that_falls_silent_is_gone_on_for(tmp_path: Path) -> None:
    teller = Teller()

    async def fall_silent(inference: FakeInference) -> None:
        inference.silent = True
        await asyncio.Event().wait()

    teller.cut = fall_silent
    async with house(tmp_path, *teller.inferences) as running, asyncio.timeout(10):
        assert text_of((await running.stream())[1]) == "".join(WORDS)


@pytest.mark.parametrize(
    "fields",
    [{"tools": [TOOL]}, {"n": 2}, {"logprobs": True}, {"response_format": {"type": "json_object"}}],
)
async def test_what_cannot_go_on_says_so(tmp_path: Path, fields: dict[str, Any]) -> None:
    teller = Teller()
    async with house(tmp_path, *teller.inferences) as running:
        _, stream = await running.stream(**fields)
    assert text_of(stream) == "one two three"
    assert '"code":"backend_failed"' in stream
    assert "[DONE]" not in stream
    assert len(teller.asked) == 1


@pytest.mark.parametrize("extra", [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}])
async def test_an_answer_that_is_more_than_its_text_is_not_gone_on_with(tmp_path: Path, extra: dict[str, Any]) -> None:
    inferences = [FakeInference("m") for _ in range(2)]

    async def answer(request: ProcessRequest, call: Call) -> Processed:
        assert call.send
        await call.send([chunk("", **extra)])
        raise BackendFailed("It broke off.")

    for inference in inferences:
        inference.report(capabilities=("chat", "continues"))
        inference.answer = answer
    async with house(tmp_path, *inferences) as running:
        _, stream = await running.stream()
    assert '"code":"backend_failed"' in stream
    assert sum(len(inference.requests) for inference in inferences) == 1


async def test_models_that_cannot_go_on_are_not_asked_to(tmp_path: Path) -> None:
    teller = Teller(capable=False)
    async with house(tmp_path, *teller.inferences, worker_wait_s=0.1) as running:
        _, stream = await running.stream()
    assert '"code":"backend_failed"' in stream
    assert len(teller.asked) == 1


async def test_what_is_no_fault_of_the_worker_ends_it(tmp_path: Path) -> None:
    teller = Teller()

    async def refuse(inference: FakeInference) -> None:
        raise BadRequest("No.")

    teller.cut = refuse
    async with house(tmp_path, *teller.inferences) as running:
        _, stream = await running.stream()
    assert '"error"' in stream
    assert len(teller.asked) == 1


async def test_an_answer_of_which_only_the_count_is_missing_is_whole(tmp_path: Path) -> None:
    inferences = [FakeInference("m") for _ in range(2)]

    async def answer(request: ProcessRequest, call: Call) -> Processed:
        assert call.send
        await call.send([chunk("one"), chunk(finish_reason="stop")])
        raise BackendFailed("It broke off.")

    for inference in inferences:
        inference.answer = answer
    async with house(tmp_path, *inferences) as running:
        _, stream = await running.stream()
    assert text_of(stream) == "one"
    assert stream.endswith("data: [DONE]\n\n")
    assert sum(len(inference.requests) for inference in inferences) == 1


async def test_how_it_began_is_in_the_headers(tmp_path: Path) -> None:
    teller = Teller(stops_after=0)
    async with house(tmp_path, *teller.inferences) as running:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with running.http.post("/v1/chat/completions", json=body) as reply:
            assert text_of(await reply.text()) == "".join(WORDS)
    assert reply.headers["x-hyperinfer-attempts"] == "2"
    assert reply.headers["x-hyperinfer-model"] == "m"
    assert reply.headers["x-hyperinfer-worker"]
    assert reply.headers["server-timing"].startswith("queue;dur=0.0, first-token;dur=")
    assert "x-hyperinfer-cache" not in reply.headers
