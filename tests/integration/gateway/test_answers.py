"""From HTTP through the gateway to an inference worker and back."""

import json
import re
from pathlib import Path

import pytest

from hyperinfer.testing.inference import FakeInference

from .conftest import BODY, house


async def test_a_whole_answer_carries_our_stamps_and_names_its_worker(tmp_path: Path) -> None:
    inference = FakeInference("m")
    async with house(tmp_path, inference) as running:
        async with running.http.post("/v1/chat/completions", json=BODY) as reply:
            assert reply.status == 200
            body = await reply.json()
            worker = running.running["inference-0"].public_key.hex()
            assert reply.headers["x-hyperinfer-worker"] == worker[:12]
        assert body["choices"][0]["message"]["content"] == "one two three"
        [request] = inference.requests
        assert body["id"] == request.completion_id
        assert body["id"].startswith("chatcmpl-")
        assert body["model"] == "m"
        assert json.loads(bytes(request.body)) == BODY
        assert re.fullmatch("[0-9a-f]{16}", request.fair_key), "a worker is not told who asks"


async def test_a_streamed_answer_is_events_with_an_end_mark(tmp_path: Path) -> None:
    inference = FakeInference("m")
    async with house(tmp_path, inference) as running:
        status, text = await running.stream()
    events = [event.removeprefix("data: ") for event in text.split("\n\n")[:-1]]
    assert status == 200
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["one", "two", "three"]
    assert {chunk["id"] for chunk in chunks} == {inference.requests[0].completion_id}


async def test_one_prompt_is_answered_by_the_default_model(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), FakeInference("big", slots=9)) as running:
        async with running.http.post("/api/inference", json={"prompt": "hi"}, headers={"X-Request-Id": "r1"}) as reply:
            body = await reply.json()
        assert reply.status == 200
        assert body == {
            "response": "one two three",
            "model": "big",
            "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
            "requestId": "r1",
        }


async def test_a_configured_default_model_answers_where_none_is_named(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), FakeInference("big", slots=9), default_model="m") as running:
        _, body = await running.chat(model=None)
        assert body["model"] == "m"


async def test_an_unknown_model_is_refused_naming_those_there_are(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m", "n")) as running:
        for answer in (await running.chat(model="gpt-9"), await running.stream(model="gpt-9")):
            status, body = answer
            error = (json.loads(body) if isinstance(body, str) else body)["error"]
            assert (status, error["code"]) == (404, "model_not_found")
            assert "m, n" in error["message"]


@pytest.mark.parametrize("model", [5, ["m"], "x" * 201])
async def test_a_model_that_makes_no_sense_is_a_bad_request(tmp_path: Path, model: object) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        status, body = await running.chat(model=model)
        assert status == 400
        assert body["error"]["param"] == "model"


async def test_what_there_is_can_be_listed(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), FakeInference("m", "n")) as running:
        async with running.http.get("/v1/models") as reply:
            assert [model["id"] for model in (await reply.json())["data"]] == ["m", "n"]
        async with running.http.get("/api/models") as reply:
            models = (await reply.json())["models"]
        assert [(model["workers"], model["slots"]) for model in models] == [(2, 8), (1, 4)]


async def test_readiness_and_metrics_are_shown(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        async with running.http.get("/readyz") as reply:
            assert reply.status == 200
        await running.chat()
        async with running.http.get("/metrics") as reply:
            text = await reply.text()
        assert 'ai_platform_requests_total{method="processInferenceRequest",service="gateway",status="ok"} 1.0' in text
        assert 'ai_platform_tokens_total{kind="completion",model="m"} 3.0' in text
        assert 'ai_platform_workers{state="ready"} 1.0' in text
        await running.kill("inference-0")
        await running.until_seen(inference_0="lost")
        async with running.http.get("/readyz") as reply:
            assert reply.status == 503
            assert "inference" in str((await reply.json())["reasons"])
