"""Conversations keep their prompt cache: the real engine at two workers, asked through a gateway."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MODEL = "smollm2-135m"
CONVERSATIONS, TURNS = 6, 3
SHARE = 0.85
"""Of what follow-ups read; of them a tenth is new. Given to either worker by chance, they find two thirds."""


class Talk:
    """A conversation; of its follow-ups so many tokens were `read`, and so many of them came from the cache."""

    def __init__(self, http: aiohttp.ClientSession, beginning: str) -> None:
        self._http = http
        self._messages = [_said("user", beginning)]
        self.read = 0
        self.cached = 0

    async def ask(self) -> None:
        body = {"model": MODEL, "messages": self._messages, "max_tokens": 8, "temperature": 0}
        async with self._http.post("/v1/chat/completions", json=body) as reply:
            completion = await reply.json()
        assert reply.status == 200, completion
        if len(self._messages) > 1:
            self.read += completion["usage"]["prompt_tokens"]
            self.cached += completion["usage"]["prompt_tokens_details"]["cached_tokens"]
        self._messages.append(_said("assistant", completion["choices"][0]["message"]["content"]))
        self._messages.append(_said("user", "And then?"))


async def test_a_follow_up_finds_the_beginning_in_the_cache(tmp_path: Path) -> None:
    auth = FakeAuth()
    engine: dict[str, Any] = {"llamacpp__threads": 1, "llamacpp__slots": 4}
    parts = [
        part(auth.worker(), home=tmp_path),
        part(GATEWAY, home=tmp_path, http__port=0),
        part(INFERENCE, home=tmp_path, rack="0", **engine),
        part(INFERENCE, home=tmp_path, rack="1", **engine),
    ]
    headers = {"Authorization": f"Bearer {auth.person('ada')}"}
    async with (
        swarm(parts, home=tmp_path) as running,
        aiohttp.ClientSession(running["gateway"].addresses["http"], headers=headers) as http,
    ):

        async def both_ready() -> bool:
            async with http.get("/api/workers") as reply:
                workers = (await reply.json())["workers"]
            states = [one["state"] for worker in workers for one in worker["models"] if one["name"] == MODEL]
            return states == ["ready", "ready"]

        await eventually(both_ready, timeout_s=40)
        talks = [Talk(http, f"Story {n}. " + f"The {n}th fox went on. " * 24) for n in range(CONVERSATIONS)]
        for _ in range(TURNS):  # all at once, so that both engines are used
            await asyncio.gather(*(talk.ask() for talk in talks))
    read, cached = sum(talk.read for talk in talks), sum(talk.cached for talk in talks)
    assert cached / read > SHARE, f"{cached} of {read} tokens came from the cache"


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
