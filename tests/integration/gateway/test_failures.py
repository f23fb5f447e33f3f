"""What a failing, stopping or missing inference worker costs a request: a retry, a pause, or an error that says so."""

import asyncio
import json
from pathlib import Path

import pytest

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.errors import BackendFailed, ContextExceeded, HyperinferError, Overloaded
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import Answer, FakeInference, echo

from .conftest import BODY, House, house


def failing(error: HyperinferError, *, after: int = 0) -> Answer:
    async def answer(request: ProcessRequest, call: Call) -> Processed:
        for number in range(after):
            await call.stream([b'{"n":%d}' % number])
        raise error

    return answer


async def test_a_failure_before_the_first_chunk_is_retried_on_another_worker(tmp_path: Path) -> None:
    bad, good = FakeInference("m"), FakeInference("m")
    bad.answer = failing(BackendFailed("The model broke off."))
    async with house(tmp_path, bad, good) as running:
        for _ in range(8):
            assert (await running.chat())[0] == 200
            assert (await running.stream())[0] == 200
        assert bad.requests
        assert len(bad.requests) < 8, "the breaker should have opened"


async def test_a_failure_after_the_first_chunk_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    bad, other = FakeInference("m"), FakeInference("m")
    for inference in (bad, other):
        inference.answer = failing(BackendFailed("The model broke off."), after=2)
    async with house(tmp_path, bad, other) as running:
        status, text = await running.stream()
        events = text.split("\n\n")
        assert status == 200
        assert events[:2] == ['data: {"n":0}', 'data: {"n":1}']
        assert json.loads(events[2].removeprefix("data: "))["error"]["code"] == "backend_failed"
        assert "[DONE]" not in text
        assert len(bad.requests) + len(other.requests) == 1


async def test_what_the_caller_got_wrong_is_not_retried(tmp_path: Path) -> None:
    inferences = FakeInference("m"), FakeInference("m")
    for inference in inferences:
        inference.answer = failing(ContextExceeded("Too long.", prompt_tokens=900, context_tokens=512))
    async with house(tmp_path, *inferences) as running:
        status, body = await running.chat()
        assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
        assert sum(len(inference.requests) for inference in inferences) == 1


async def test_the_retries_have_a_budget(tmp_path: Path) -> None:
    inferences = [FakeInference("m") for _ in range(5)]
    for inference in inferences:
        inference.answer = failing(BackendFailed("The model broke off."))
    async with house(tmp_path, *inferences, retries=2) as running:
        status, body = await running.chat()
        assert (status, body["error"]["code"]) == (502, "backend_failed")
        assert sum(len(inference.requests) for inference in inferences) == 3


async def test_full_workers_refuse_at_once_and_say_when_to_come_again(tmp_path: Path) -> None:
    inferences = FakeInference("m"), FakeInference("m")
    for inference in inferences:
        inference.answer = failing(Overloaded("The queue is full.", retry_after_s=7))
    async with house(tmp_path, *inferences, worker_wait_s=30) as running:
        async with asyncio.timeout(5), running.http.post("/v1/chat/completions", json=BODY) as reply:
            assert reply.status == 503
            assert reply.headers["retry-after"] == "7"
        assert [len(inference.requests) for inference in inferences] == [1, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_worker_that_dies_in_mid_request_costs_a_retry(tmp_path: Path, stream: bool) -> None:
    inferences = {f"inference-{number}": FakeInference("m") for number in range(2)}
    hanging: asyncio.Queue[str] = asyncio.Queue()

    def hang_once(name: str) -> Answer:
        async def answer(request: ProcessRequest, call: Call) -> Processed:
            for inference in inferences.values():
                inference.answer = echo
            hanging.put_nowait(name)
            await asyncio.Event().wait()
            raise AssertionError

        return answer

    for name, inference in inferences.items():
        inference.answer = hang_once(name)
    async with house(tmp_path, *inferences.values()) as running, asyncio.TaskGroup() as group:
        asking = group.create_task(running.stream() if stream else running.chat())
        await running.kill(await hanging.get())
        status, answer = await asking
        assert status == 200
        assert "three" in str(answer)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_worker_that_falls_silent_costs_a_pause(tmp_path: Path, stream: bool) -> None:
    inferences = [FakeInference("m") for _ in range(2)]

    def fall_silent(one: FakeInference) -> Answer:
        async def answer(request: ProcessRequest, call: Call) -> Processed:
            one.silent = True
            for inference in inferences:
                inference.answer = echo
            await asyncio.Event().wait()
            raise AssertionError

        return answer

    for inference in inferences:
        inference.answer = fall_silent(inference)
    async with house(tmp_path, *inferences) as running, asyncio.timeout(5):
        status, answer = await (running.stream() if stream else running.chat())
        assert status == 200
        assert "three" in str(answer)
        assert sum(inference.silent for inference in inferences) == 1


async def test_a_worker_that_is_gone_is_waited_for_and_then_missed_aloud(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), worker_wait_s=0.2) as running:
        await running.kill("inference-0")
        async with running.http.post("/v1/chat/completions", json=BODY) as reply:
            assert reply.status == 503
            assert reply.headers["retry-after"]
            assert "No inference worker" in (await reply.json())["error"]["message"]


async def test_a_worker_that_comes_back_serves_again(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), worker_wait_s=10) as running:
        await running.kill("inference-0")
        await running.until_seen(inference_0="lost")
        await running.stop("inference-0")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(running.chat())
            await running.start("inference-0")
        assert waiting.result()[0] == 200


async def test_a_model_that_is_being_loaded_is_waited_for(tmp_path: Path) -> None:
    inference = FakeInference("m")
    async with house(tmp_path, inference, worker_wait_s=0.2, loading_wait_s=0.2) as running:
        inference.report(state="loading")
        await eventually(lambda: _refused(running, "is being loaded"))
        inference.report(state="ready")
        assert (await running.chat())[0] == 200


async def test_a_draining_worker_gets_no_more(tmp_path: Path) -> None:
    leaving, staying = FakeInference("m"), FakeInference("m")
    async with house(tmp_path, leaving, staying) as running:
        await running.stop("inference-0")
        before = len(leaving.requests)
        for _ in range(5):
            assert (await running.chat())[0] == 200
        assert len(leaving.requests) == before


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_stops_the_work_at_the_worker(tmp_path: Path, stream: bool) -> None:
    inference = FakeInference("m")
    began, stopped = asyncio.Event(), asyncio.Event()

    async def endless(request: ProcessRequest, call: Call) -> Processed:
        try:
            if call.send:
                await call.send([b'{"n":0}'])
            began.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    inference.answer = endless
    async with house(tmp_path, inference) as running, asyncio.TaskGroup() as group:
        asking = group.create_task(running.stream() if stream else running.chat())
        async with asyncio.timeout(5):
            await began.wait()
            asking.cancel()
            await stopped.wait()
        await eventually(lambda: _idle(running))
        inference.answer = echo
        assert (await running.chat())[0] == 200


async def _refused(running: House, words: str) -> bool:
    status, body = await running.chat()
    return status == 503 and words in body["error"]["message"]


async def _idle(running: House) -> bool:
    return not any(worker.in_flight for worker in await running.workers())


async def test_a_slow_reader_holds_its_own_worker_back_and_nobody_else(tmp_path: Path) -> None:
    inference = FakeInference("m")
    sent = 0

    async def flood(request: ProcessRequest, call: Call) -> Processed:
        nonlocal sent
        chunk = b'{"t":"' + b"x" * 10_000 + b'"}'
        while call.send:
            await call.send([chunk])
            sent += 1
        return await echo(request, call)

    inference.answer = flood
    async with (
        house(tmp_path, inference) as running,
        running.http.post("/v1/chat/completions", json=BODY | {"stream": True}) as reply,
    ):
        assert reply.status == 200

        async def stands_still() -> bool:
            before = sent
            await asyncio.sleep(0.3)
            return sent == before

        await eventually(stands_still, timeout_s=20)
        assert (await running.chat())[0] == 200
        assert sent < 3000
