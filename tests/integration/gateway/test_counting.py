"""Prompts are counted by a worker that has the model: by another one if it fails, and for nothing."""

import asyncio
from pathlib import Path

from hyperinfer.contracts.inference import CountPrompt, PromptCount
from hyperinfer.errors import BadRequest, Unavailable
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.workers.gateway.counting import AT_ONCE

from .conftest import House, house

PROMPT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def count(running: House, **changes: object) -> tuple[int, dict[str, object]]:
    async with running.http.post("/v1/messages/count_tokens", json=PROMPT | changes) as reply:
        return reply.status, await reply.json()


async def test_a_prompt_is_counted_and_nothing_is_used(tmp_path: Path) -> None:
    inference = FakeInference("m")
    seen: list[CountPrompt] = []

    async def counted(request: CountPrompt, call: Call) -> PromptCount:
        seen.append(request)
        assert call.meta.key is None, "credentials go to no worker"
        return PromptCount(prompt_tokens=12, model="m", exact=False)

    inference.count = counted
    async with house(tmp_path, inference) as running:
        assert await count(running) == (200, {"input_tokens": 12})
        status, refused = await count(running, model="nothing")
        assert (status, inference.requests, running.auth.usage) == (404, [], {})
        async with running.http.get("/api/quota") as reply:
            assert {row["used"] for row in (await reply.json())["limits"]} <= {0}
    assert "nothing" in str(refused["error"])
    [asked] = seen
    assert asked.model == "m"
    assert b'"content":"hi"' in bytes(asked.body)


async def test_another_worker_counts_where_one_fails_and_two_are_enough(tmp_path: Path) -> None:
    asked: list[int] = []
    inferences = [FakeInference("m") for _ in range(3)]
    failing = [True]

    async def away(request: CountPrompt, call: Call) -> PromptCount:
        asked.append(1)
        if failing[0] or len(asked) == 1:
            raise Unavailable("It is away.")
        return PromptCount(prompt_tokens=3, model="m", exact=True)

    async def wrong(request: CountPrompt, call: Call) -> PromptCount:
        asked.append(1)
        raise BadRequest("messages: It makes no sense.", param="messages")

    for inference in inferences:
        inference.count = away
    async with house(tmp_path, *inferences) as running:
        assert (await count(running))[0] == 503
        assert len(asked) == 2
        asked.clear()
        failing[0] = False
        assert await count(running) == (200, {"input_tokens": 3})
        asked.clear()
        for inference in inferences:
            inference.count = wrong
        assert (await count(running))[0] == 400
        assert len(asked) == 1, "what one refuses, all do"


async def test_few_prompts_of_one_person_are_counted_at_once(tmp_path: Path) -> None:
    inference = FakeInference("m")
    waiting: list[CountPrompt] = []
    go_on = asyncio.Event()

    async def slow(request: CountPrompt, call: Call) -> PromptCount:
        waiting.append(request)
        await go_on.wait()
        return PromptCount(prompt_tokens=1, model="m", exact=True)

    async def all_there() -> bool:
        return len(waiting) == AT_ONCE

    inference.count = slow
    async with house(tmp_path, inference) as running, asyncio.TaskGroup() as group:
        counting = [group.create_task(count(running)) for _ in range(AT_ONCE)]
        await eventually(all_there)
        async with running.http.post("/v1/messages/count_tokens", json=PROMPT) as reply:
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        go_on.set()
        assert [(await task)[0] for task in counting] == [200] * AT_ONCE
        assert (await count(running))[0] == 200
