"""Loading and unloading models from the gateway, by the real worker with the echo backend."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MODELS = "/api/admin/models"


class Scene:
    """A gateway and two workers that have the model `echo`, asked by an administrator."""

    def __init__(self, http: aiohttp.ClientSession, root: str, ada: str) -> None:
        self._http = http
        self._root = root
        self.ada = ada

    async def place(self, action: str, *, key: str = "", **body: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self._root}"}
        async with self._http.post(f"{MODELS}/{action}", json={"model": "echo"} | body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def workers(self) -> list[dict[str, Any]]:
        async with self._http.get("/api/workers", headers={"Authorization": f"Bearer {self._root}"}) as reply:
            return list((await reply.json())["workers"])

    async def states(self) -> list[str]:
        return [model["state"] for worker in await self.workers() for model in worker["models"]]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    auth = FakeAuth(alias="echo other")
    inference: dict[str, Any] = {"llamacpp__enabled": False, "echo__enabled": True}
    parts = [
        part(auth.worker(), home=tmp_path),
        part(GATEWAY, home=tmp_path, http__port=0),
        part(INFERENCE, home=tmp_path, rack="0", **inference),
        part(INFERENCE, home=tmp_path, rack="1", **inference),
    ]
    async with (
        swarm(parts, home=tmp_path) as running,
        aiohttp.ClientSession(running["gateway"].addresses["http"]) as http,
    ):
        one = Scene(http, auth.person("root", role="admin"), auth.person("ada"))

        async def ready() -> bool:
            return await one.states() == ["ready", "ready"]

        await eventually(ready)
        yield one


async def test_everywhere_and_at_one_worker(scene: Scene) -> None:
    status, body = await scene.place("unload")
    assert status == 200
    assert [row["status"]["state"] for row in body["workers"]] == ["idle", "idle"]
    keys = [worker["key"] for worker in await scene.workers()]
    assert {row["worker"] for row in body["workers"]} == set(keys)
    status, body = await scene.place("load", worker=keys[0])
    assert (status, [row["worker"] for row in body["workers"]]) == (200, [keys[0]])
    assert body["workers"][0]["status"]["state"] == "ready"

    async def told() -> bool:
        return sorted(await scene.states()) == ["idle", "ready"]

    await eventually(told)


async def test_what_cannot_be_done_is_said(scene: Scene) -> None:
    for body, status in (({"model": "nothing"}, 404), ({"worker": "ab" * 32}, 404), ({"model": "alias"}, 400)):
        assert (await scene.place("load", **body))[0] == status
    assert (await scene.place("load", key=scene.ada))[0] == 403


async def test_workers_say_what_they_run(scene: Scene) -> None:
    for worker in await scene.workers():
        assert worker["version"]
        assert [(one["name"], one["available"]) for one in worker["backends"]] == [("echo", True)]
