"""What HTTP shows of models and workers, and what administrators do with them, with real workers behind a real gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"
BODY = {"messages": [{"role": "user", "content": "one two three"}]}


class Api:
    """The API for whoever has the key."""

    def __init__(self, http: aiohttp.ClientSession, key: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}

    async def ask(self, verb: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        async with self._http.request(verb, path, json=body, headers=self._headers) as reply:
            assert reply.status == status, await reply.text()
            return await reply.json()

    async def model(self, name: str) -> dict[str, Any]:
        models = (await self.ask("GET", "/api/models"))["models"]
        [found] = [model for model in models if model["id"] == name]
        return dict(found)

    async def states(self, name: str) -> list[str]:
        """How a model stands at each worker."""
        rows = (await self.ask("GET", "/api/workers"))["workers"]
        return [model["state"] for row in rows for model in row["models"] if model["name"] == name]

    async def key(self, **fields: Any) -> "Api":
        made = await self.ask("POST", "/api/auth/api-keys", fields, status=201)
        return Api(self._http, made["key"])


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Api]:
    """Two workers have `shared`, one of them alone has `own`; `fast` stands for the one that is not there, then for `shared`."""
    await create_admin(tmp_path / "data" / "auth", AuthSettings(), password=PASSWORD)

    def worker(rack: str, model: str, **echo: Any) -> Any:
        settings = {f"echo__{name}": value for name, value in echo.items()}
        return part(
            INFERENCE,
            home=tmp_path,
            rack=rack,
            llamacpp__enabled=False,
            echo__enabled=True,
            echo__model=model,
            **settings,
        )

    parts = [
        part(AUTH, home=tmp_path, aliases={"fast": ["absent", "shared"]}),
        worker("a", "shared", slots=2, context_tokens=100),
        worker("b", "shared", slots=3, context_tokens=50),
        worker("c", "own", slots=1, capabilities=["chat"]),
        part(GATEWAY, home=tmp_path, http__port=0),
    ]
    async with (
        swarm(parts, home=tmp_path) as running,
        aiohttp.ClientSession(running["gateway"].addresses["http"]) as http,
    ):

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        async with http.post("/api/auth/login", json={"username": "admin", "password": PASSWORD}) as reply:
            api = Api(http, (await reply.json())["access_token"])

        async def all_there() -> bool:
            return [len(await api.states(name)) for name in ("shared", "own")] == [2, 1]

        await eventually(all_there)
        yield api


async def test_models_are_summed_over_their_workers(admin: Api) -> None:
    shared = await admin.model("shared")
    assert (shared["workers"], shared["slots"], shared["busy"], shared["context_tokens"]) == (2, 5, 0, 50)
    assert (shared["state"], shared["answered_by"]) == ("ready", [])
    assert {"chat", "embedding", "tools"} <= set(shared["capabilities"])
    assert (await admin.model("own"))["capabilities"] == ["chat"]


async def test_an_alias_is_listed_says_what_it_stands_for_and_answers(admin: Api) -> None:
    fast = await admin.model("fast")
    assert fast["answered_by"] == ["shared"]  # of those that it stands for, the ones that are there
    assert "fast" in {model["id"] for model in (await admin.ask("GET", "/v1/models"))["data"]}
    assert (await admin.ask("GET", "/v1/models/fast"))["id"] == "fast"
    answer = await admin.ask("POST", "/v1/chat/completions", BODY | {"model": "fast"})
    assert answer["model"] == "shared"
    assert answer["choices"][0]["message"]["content"] == "one two three"


async def test_workers_show_their_backends_and_models(admin: Api) -> None:
    rows = {row["name"]: row for row in (await admin.ask("GET", "/api/workers"))["workers"]}
    assert set(rows) == {"inference-a", "inference-b", "inference-c"}
    row = rows["inference-c"]
    assert (row["state"], row["broken"], row["in_flight"]) == ("ready", [], 0)
    assert row["backends"] == [{"name": "echo", "available": True, "models": 1}]
    assert row["version"]
    [model] = row["models"]
    assert (model["name"], model["backend"], model["slots"], model["queue_limit"]) == ("own", "echo", 1, 64)
    await admin.ask("POST", "/v1/chat/completions", BODY | {"model": "own"})

    async def counted() -> bool:
        rows = (await admin.ask("GET", "/api/workers"))["workers"]
        served = {model["name"]: model["served"] for row in rows for model in row["models"]}
        return bool(served["own"] == 1)

    await eventually(counted)


async def test_a_key_sees_the_models_that_it_may_use(admin: Api) -> None:
    narrow = await admin.key(models=["own"])
    assert [model["id"] for model in (await narrow.ask("GET", "/api/models"))["models"]] == ["own"]
    assert [model["id"] for model in (await narrow.ask("GET", "/v1/models"))["data"]] == ["own"]


async def test_a_model_is_unloaded_everywhere_and_its_next_request_loads_it(admin: Api) -> None:
    placed = await admin.ask("POST", "/api/admin/models/unload", {"model": "shared"})
    assert [(one["status"]["state"], one["error"]) for one in placed["workers"]] == [("idle", "")] * 2

    async def idle() -> bool:
        return bool((await admin.model("shared"))["state"] == "idle")

    await eventually(idle)
    answer = await admin.ask("POST", "/v1/chat/completions", BODY | {"model": "shared"})
    assert answer["choices"][0]["message"]["content"] == "one two three"

    async def one_is_loaded() -> bool:
        return sorted(await admin.states("shared")) == ["idle", "ready"]

    await eventually(one_is_loaded)


async def test_a_model_is_loaded_at_the_worker_that_is_named(admin: Api) -> None:
    await admin.ask("POST", "/api/admin/models/unload", {"model": "shared"})
    rows = {row["name"]: row["key"] for row in (await admin.ask("GET", "/api/workers"))["workers"]}
    placed = await admin.ask("POST", "/api/admin/models/load", {"model": "shared", "worker": rows["inference-b"]})
    assert [(one["worker"], one["status"]["state"]) for one in placed["workers"]] == [(rows["inference-b"], "ready")]


async def test_who_ordered_it_is_in_the_audit_log(admin: Api) -> None:
    rows = {row["name"]: row["key"] for row in (await admin.ask("GET", "/api/workers"))["workers"]}
    await admin.ask("POST", "/api/admin/models/unload", {"model": "shared"})
    await admin.ask("POST", "/api/admin/models/load", {"model": "shared", "worker": rows["inference-b"]})
    await admin.ask("POST", "/api/admin/models/load", {"model": "nothing"}, status=404)
    noted = (await admin.ask("GET", "/api/admin/audit?action=model.*"))["data"]
    assert [(row["action"], row["outcome"], row["actor_name"], row["details"]) for row in noted] == [
        ("model.load_ordered", "ok", "admin", {"model": "shared", "workers": "1", "worker": rows["inference-b"]}),
        ("model.unload_ordered", "ok", "admin", {"model": "shared", "workers": "2"}),
    ]


async def test_several_administrators_at_once_are_no_trouble(admin: Api) -> None:
    async with asyncio.TaskGroup() as group:
        for verb in ("load", "unload") * 5:
            group.create_task(admin.ask("POST", f"/api/admin/models/{verb}", {"model": "shared"}))
    placed = await admin.ask("POST", "/api/admin/models/load", {"model": "shared"})
    assert [one["status"]["state"] for one in placed["workers"]] == ["ready", "ready"]


async def test_what_is_not_there_is_named(admin: Api) -> None:
    for verb in ("load", "unload"):
        refused = await admin.ask("POST", f"/api/admin/models/{verb}", {"model": "nothing"}, status=404)
        assert refused["error"]["code"] == "model_not_found"
    refused = await admin.ask("POST", "/api/admin/models/load", {"model": "own", "worker": "ab" * 32}, status=404)
    assert refused["error"]["message"]


async def test_nobody_else_loads_and_unloads(admin: Api) -> None:
    for fields in ({"scopes": ["inference", "account", "usage"]}, {}):
        key = await admin.key(**fields)
        for verb in ("load", "unload"):
            refused = await key.ask("POST", f"/api/admin/models/{verb}", {"model": "own"}, status=403)
            assert refused["error"]["type"] == "permission_error"
    assert await admin.states("own") == ["ready"]
