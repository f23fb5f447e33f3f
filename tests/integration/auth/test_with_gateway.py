"""Real auth behind a real gateway, spoken to over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY

from .conftest import PASSWORD

ADA = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}


class Visitor:
    """Somebody who speaks HTTP to the gateway; `clock` is that of both workers."""

    def __init__(self, http: aiohttp.ClientSession, url: str, clock: ManualClock) -> None:
        self._http = http
        self._url = url
        self.clock = clock

    async def ask(self, method: str, path: str, *, key: str = "", **body: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self._http.request(method, self._url + path, headers=headers, json=body or None) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    clock = ManualClock()
    parts = [part(AUTH, home=tmp_path), part(GATEWAY, home=tmp_path, http__port=0)]
    async with swarm(parts, home=tmp_path, clock=clock) as running, aiohttp.ClientSession() as http:
        yield Visitor(http, running["gateway"].addresses["http"], clock)


async def test_a_person_registers_logs_in_and_manages_keys(visitor: Visitor) -> None:
    status, made = await visitor.ask("POST", "/api/auth/register", **ADA)
    assert status == 201, made
    assert (await visitor.ask("POST", "/api/auth/register", **ADA))[0] == 409
    assert (await visitor.ask("POST", "/api/auth/login", username="ada", password="wrong password"))[0] == 401
    status, session = await visitor.ask("POST", "/api/auth/login", email="ada@example.org", password=PASSWORD)
    assert (status, session["expires_in"]) == (200, 24 * 3600)
    token = session["access_token"]
    status, key = await visitor.ask("POST", "/api/auth/api-keys", key=token, name="laptop")
    assert status == 201, key
    assert (await visitor.ask("GET", "/v1/models", key=key["key"]))[0] == 200


async def test_a_revoked_key_is_refused_within_two_seconds(visitor: Visitor) -> None:
    await visitor.ask("POST", "/api/auth/register", **ADA)
    _, session = await visitor.ask("POST", "/api/auth/login", username="ada", password=PASSWORD)
    _, key = await visitor.ask("POST", "/api/auth/api-keys", key=session["access_token"], name="laptop")
    assert (await visitor.ask("GET", "/v1/models", key=key["key"]))[0] == 200
    status, _ = await visitor.ask("DELETE", f"/api/auth/api-keys/{key['id']}", key=session["access_token"])
    assert status == 200
    visitor.clock.advance(1.9)
    assert (await visitor.ask("GET", "/v1/models", key=key["key"]))[0] == 401
