"""Which model and which worker answer a request, seen from outside."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.errors import BackendFailed, ContextExceeded, HyperinferError, Overloaded, Unsupported
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import Answer, FakeInference, echo

from .conftest import BODY, House, house

LONG = "This is a long beginning that several questions share. " * 20


def failing(error: HyperinferError) -> Answer:
    async def answer(request: ProcessRequest, call: Call) -> Processed:
        raise error

    return answer


async def post(running: House, path: str, body: Any, key: str) -> tuple[int, Any]:
    async with running.http.post(path, json=body, headers={"Authorization": f"Bearer {key}"}) as reply:
        return reply.status, await reply.json()


async def models(running: House) -> dict[str, dict[str, Any]]:
    async with running.http.get("/api/models") as reply:
        return {row["id"]: row for row in (await reply.json())["models"]}


async def test_an_alias_is_answered_by_the_first_model_that_is_ready_and_says_by_which(tmp_path: Path) -> None:
    large, small = FakeInference("large"), FakeInference("small")
    auth = FakeAuth(best="large small")
    async with house(tmp_path, large, small, auth=auth) as running:
        async with running.http.post("/v1/chat/completions", json=BODY | {"model": "BEST"}) as reply:
            assert reply.headers["x-hyperinfer-model"] == "large"
            assert (await reply.json())["model"] == "large"
        assert (await models(running))["best"]["answered_by"] == ["large", "small"]
        large.report(state="away")
        await eventually(lambda: _answered_by(running, "small"))
        assert (await models(running))["best"]["answered_by"] == ["small"]
        status, text = await running.stream(model="best")
        assert status == 200
        assert '"model":"small"' in text

        async def counted() -> bool:
            return {record.model for record in auth.usage.values()} == {"large", "small"}

        await eventually(counted)


async def _answered_by(running: House, model: str) -> bool:
    return bool((await running.chat(model="best"))[1]["model"] == model)


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("The queue is full.", retry_after_s=7),
        BackendFailed("The model broke off."),
        ContextExceeded("Too long.", prompt_tokens=900, context_tokens=512),
        Unsupported("No tools.", param="tools"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_where_one_model_fails_the_next_in_line_answers(
    tmp_path: Path, error: HyperinferError, stream: bool
) -> None:
    first = [FakeInference("large") for _ in range(2)]
    for inference in first:
        inference.answer = failing(error)
    async with house(tmp_path, *first, FakeInference("small"), auth=FakeAuth(best="large small")) as running:
        if stream:
            status, text = await running.stream(model="best")
            assert (status, '"model":"small"' in text) == (200, True)
        else:
            status, body = await running.chat(model="best")
            assert (status, body["model"]) == (200, "small")
        status, _ = await running.chat(model="large")
        assert status >= 400, "who names a model gets that model or nothing"


async def test_where_all_fail_the_last_refusal_stands_and_the_attempts_have_an_end(tmp_path: Path) -> None:
    inferences = [FakeInference("large") for _ in range(4)] + [FakeInference("small") for _ in range(4)]
    for inference in inferences:
        inference.answer = failing(BackendFailed("The model broke off."))
    async with house(tmp_path, *inferences, auth=FakeAuth(best="large small"), retries=1) as running:
        status, body = await running.chat(model="best")
        assert (status, body["error"]["code"]) == (502, "backend_failed")
        assert sum(len(inference.requests) for inference in inferences) == 4


async def test_an_alias_widens_no_key(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("large", "small"), auth=FakeAuth(best="large small")) as running:
        narrow = await _key(running, "small")
        status, body = await running.chat(model="best", key=narrow)
        assert (status, body["model"]) == (200, "small")
        assert (await running.chat(model="large", key=narrow))[0] == 403
        whole = await _key(running, "best")
        assert (await running.chat(model="best", key=whole))[1]["model"] == "large"
        assert (await running.chat(model="large", key=whole))[0] == 403


async def _key(running: House, *models: str) -> str:
    status, made = await post(running, "/api/auth/api-keys", {"name": "k", "models": models}, running.key)
    assert status == 201
    return str(made["key"])


async def test_near_names_are_named(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("llama3:latest"), auth=FakeAuth(helper="llama3")) as running:
        assert (await running.chat(model="Llama3"))[1]["model"] == "llama3:latest"
        status, body = await running.chat(model="lama3")
        assert (status, body["error"]["code"]) == (404, "model_not_found")
        assert "Did you mean llama3:latest?" in body["error"]["message"]


async def test_a_model_that_a_request_loads_answers_and_is_shown_so(tmp_path: Path) -> None:
    inference = FakeInference("m")
    async with house(tmp_path, inference) as running:
        inference.report(state="idle")
        await eventually(lambda: _state(running, "idle"))
        assert (await running.chat())[0] == 200


async def _state(running: House, state: str) -> bool:
    return bool((await models(running))["m"]["state"] == state)


async def test_only_workers_that_can_are_asked(tmp_path: Path) -> None:
    plain, capable = FakeInference("m"), FakeInference("m")
    capable.report(capabilities=("chat", "tools", "vision"))
    tool = {"type": "function", "function": {"name": "f"}}
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    async with house(tmp_path, plain, capable) as running:
        for body in ({"tools": [tool]}, {"messages": [{"role": "user", "content": picture}]}):
            for _ in range(6):
                assert (await running.chat(**body))[0] == 200
        assert (len(plain.requests), len(capable.requests)) == (0, 12)
        assert (await running.chat(response_format={"type": "json_object"}))[0] == 200, "a worker says that none can"


async def test_a_conversation_stays_with_its_worker_and_others_go_elsewhere(tmp_path: Path) -> None:
    inferences = [FakeInference("m") for _ in range(3)]
    async with house(tmp_path, *inferences) as running:
        for number in range(6):
            turns = [{"role": "user", "content": f"{number} {LONG}"}]
            before = [len(inference.requests) for inference in inferences]
            for _ in range(4):
                assert (await running.chat(messages=turns))[0] == 200
                turns += [{"role": "assistant", "content": "one two three"}, {"role": "user", "content": "go on"}]
            asked = [len(inference.requests) - one for inference, one in zip(inferences, before, strict=True)]
            assert sorted(asked) == [0, 0, 4]
        assert sum(bool(inference.requests) for inference in inferences) > 1


async def test_a_busy_worker_does_not_hold_its_conversations(tmp_path: Path) -> None:
    inferences = [FakeInference("m", slots=1) for _ in range(2)]
    go = asyncio.Event()

    async def wait(request: ProcessRequest, call: Call) -> Processed:
        await go.wait()
        return await echo(request, call)

    for inference in inferences:
        inference.answer = wait
    asking: dict[str, Any] = {"messages": [{"role": "user", "content": LONG}], "prompt_cache_key": "k"}
    async with house(tmp_path, *inferences) as running, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(running.chat(**asking))

        async def all_asked() -> bool:
            return sum(len(inference.requests) for inference in inferences) == 4

        await eventually(all_asked)
        assert [len(inference.requests) for inference in inferences] == [2, 2]
        go.set()


async def test_what_keeps_failing_at_a_worker_is_shown(tmp_path: Path) -> None:
    bad = FakeInference("m")
    bad.answer = failing(BackendFailed("The model broke off."))
    async with house(tmp_path, bad, retries=5) as running:
        await running.chat()
        async with running.http.get("/api/workers") as reply:
            [worker] = (await reply.json())["workers"]
        assert worker["broken"] == ["m"]
