"""What each request leaves in the records that auth is told, however it ends."""

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.kernel.calls import Call
from hyperinfer.testing import inference as fake
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference

from .conftest import BODY, House, house

CHUNK = msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": "word"}}]})


async def records(running: House, count: int) -> list[UsageRecord]:
    """Wait until auth has been told of so many requests; gives them in order."""

    async def there() -> bool:
        return len(running.auth.usage) >= count

    await eventually(there)
    assert len(running.auth.usage) == count
    return sorted(running.auth.usage.values(), key=lambda record: record.id)


async def test_an_answer_is_recorded_with_what_the_engine_counted(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        async with running.http.post("/v1/chat/completions", json=BODY, headers={"X-Request-Id": "label"}) as reply:
            assert reply.status == 200
        await running.stream()
        whole, streamed = await records(running, 2)
        worker = running.running["inference-0"].public_key.hex()
    for record in (whole, streamed):
        assert (record.status, record.error_code, record.estimated) == ("success", None, False)
        assert (record.prompt_tokens, record.completion_tokens) == (2, 3)
        assert (record.user_id, record.api_key_id, record.model, record.worker) == ("id-ada", "key-1", "m", worker)
        assert record.duration_ms > 0
    assert (whole.first_token_ms, whole.request_id) == (None, "label")
    assert streamed.first_token_ms is not None
    assert whole.prompt_hash == streamed.prompt_hash
    assert len(whole.prompt_hash) == 64


async def test_the_usage_id_is_the_gateways_own_whatever_the_caller_calls_the_request(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        for _ in range(3):
            headers = {"X-Request-Id": "01900000-0000-7000-8000-000000000000"}
            async with running.http.post("/v1/chat/completions", json=BODY, headers=headers) as reply:
                assert reply.status == 200
        found = await records(running, 3)
    assert len({record.id for record in found}) == 3
    assert {record.request_id for record in found} == {"01900000-0000-7000-8000-000000000000"}


async def test_a_client_that_hangs_up_pays_for_what_it_was_sent(tmp_path: Path) -> None:
    inference = FakeInference("m")
    gone = asyncio.Event()

    async def talk(request: ProcessRequest, call: Call) -> Processed:
        try:
            for _ in range(5):
                await call.stream([CHUNK])
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    inference.answer = talk
    async with house(tmp_path, inference) as running:
        async with running.http.post("/v1/chat/completions", json=BODY | {"stream": True}) as reply:
            for _ in range(10):
                await reply.content.readline()
            reply.close()
        async with asyncio.timeout(2):
            await gone.wait()
        [record] = await records(running, 1)
    assert (record.status, record.estimated, record.completion_tokens) == ("cancelled", True, 5)
    assert record.prompt_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_recorded_by_its_code_and_costs_nothing(tmp_path: Path, stream: bool) -> None:
    inference = FakeInference("m")

    async def refuse(request: ProcessRequest, call: Call) -> Processed:
        raise BadRequest("No.")

    inference.answer = refuse
    async with house(tmp_path, inference) as running:
        async with running.http.post("/v1/chat/completions", json=BODY | {"stream": stream}) as reply:
            assert reply.status == 400
        [record] = await records(running, 1)
    assert (record.status, record.error_code) == ("error", "BAD_REQUEST")
    assert (record.prompt_tokens, record.completion_tokens, record.estimated) == (0, 0, False)


async def test_a_stream_that_breaks_costs_what_came(tmp_path: Path) -> None:
    inference = FakeInference("m")

    async def breaks(request: ProcessRequest, call: Call) -> Processed:
        await call.stream([CHUNK, CHUNK])
        raise BackendFailed("It broke.")

    inference.answer = breaks
    async with house(tmp_path, inference) as running:
        await running.stream()
        [record] = await records(running, 1)
    assert (record.status, record.error_code) == ("error", "BACKEND_FAILED")
    assert (record.completion_tokens, record.estimated) == (2, True)


async def test_a_request_whose_time_is_over_is_a_timeout(tmp_path: Path) -> None:
    inference = FakeInference("m")

    async def never(request: ProcessRequest, call: Call) -> Processed:
        await asyncio.Event().wait()
        raise AssertionError

    inference.answer = never
    async with house(tmp_path, inference, request_timeout_s=0.3) as running:
        assert (await running.chat())[0] == 504
        [record] = await records(running, 1)
    assert (record.status, record.error_code) == ("timeout", "DEADLINE_EXCEEDED")


async def test_a_request_that_a_second_worker_answers_is_one_request(tmp_path: Path) -> None:
    first, second = FakeInference("m"), FakeInference("m")
    answered = 0

    async def fail_once(request: ProcessRequest, call: Call) -> Processed:
        nonlocal answered
        answered += 1
        if answered == 1:
            raise BackendFailed("It broke.")
        return await fake.echo(request, call)

    first.answer = second.answer = fail_once
    async with house(tmp_path, first, second) as running:
        assert (await running.chat())[0] == 200
        [record] = await records(running, 1)
    assert (record.status, record.completion_tokens) == ("success", 3)


async def test_usage_waits_for_auth_and_survives_a_restart_of_the_gateway(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        await running.kill("auth")
        for _ in range(5):
            assert (await running.chat())[0] == 200
        await running.stop("gateway")
        await running.stop("auth")
        assert running.auth.usage == {}
        await running.start("auth")
        await running.start("gateway")
        headers = {"Authorization": f"Bearer {running.key}"}
        async with aiohttp.ClientSession(running.url, headers=headers) as running.http:
            assert len(await records(running, 5)) == 5
