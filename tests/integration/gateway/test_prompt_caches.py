"""Conversations keep their prompt cache: the real engine at two workers, asked through a gateway."""

from pathlib import Path
from typing import Any

import aiohttp

from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MODEL = "smollm2-135m"
CONVERSATIONS, TURNS = 3, 4


async def test_a_follow_up_finds_the_beginning_in_the_cache(tmp_path: Path) -> None:
    auth = FakeAuth()
    engine: dict[str, Any] = {"llamacpp__threads": 1, "llamacpp__slots": 4}
    parts = [
        part(auth.worker(), home=tmp_path),
        part(GATEWAY, home=tmp_path, http__port=0),
        part(INFERENCE, home=tmp_path, rack="0", **engine),
        part(INFERENCE, home=tmp_path, rack="1", **engine),
    ]
    async with (
        swarm(parts, home=tmp_path) as running,
        aiohttp.ClientSession(
            running["gateway"].addresses["http"], headers={"Authorization": f"Bearer {auth.person('ada')}"}
        ) as http,
    ):

        async def both_ready() -> bool:
            async with http.get("/api/models") as reply:
                rows = (await reply.json())["models"]
            return any(row["id"] == MODEL and row["workers"] == 2 and row["state"] == "ready" for row in rows)

        await eventually(both_ready, timeout_s=40)
        talks = [
            [_said("user", f"Story {n}. " + "The fox went on through the wood. " * 20)] for n in range(CONVERSATIONS)
        ]
        read = cached = 0
        for turn in range(TURNS):
            for messages in talks:
                body = {"model": MODEL, "messages": messages, "max_tokens": 8, "temperature": 0}
                async with http.post("/v1/chat/completions", json=body) as reply:
                    completion = await reply.json()
                assert reply.status == 200, completion
                usage = completion["usage"]
                if turn:
                    read += usage["prompt_tokens"]
                    cached += usage["prompt_tokens_details"]["cached_tokens"]
                messages.append(_said("assistant", completion["choices"][0]["message"]["content"]))
                messages.append(_said("user", "And then?"))
    assert cached / read > 0.8, f"{cached} of {read} tokens came from the cache"


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
