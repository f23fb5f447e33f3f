"""Real auth behind a real gateway, spoken to over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
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

    async def ask(self, method: str, path: str, *, key: str = "", **body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self._http.request(method, self._url + path, headers=headers, json=body or None) as answer:
            return answer.status, await answer.json() if answer.content_length else None


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    async with visiting(tmp_path) as visitor:
        yield visitor


@asynccontextmanager
async def visiting(tmp_path: Path) -> AsyncIterator[Visitor]:
    """Both workers, and somebody who comes by."""
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


async def test_a_session_that_was_ended_is_refused_at_once_and_a_key_is_not(visitor: Visitor) -> None:
    _, made = await visitor.ask("POST", "/api/auth/register", **ADA)
    _, phone = await visitor.ask("POST", "/api/auth/login", username="ada", password=PASSWORD)
    _, laptop = await visitor.ask("POST", "/api/auth/login", username="ada", password=PASSWORD)
    for session in (phone, laptop):
        assert (await visitor.ask("GET", "/v1/models", key=session["access_token"]))[0] == 200
    changed = {"current": PASSWORD, "new": "another good password"}
    status, said = await visitor.ask("POST", "/api/auth/password", key=laptop["access_token"], **changed)
    assert status < 300, said
    assert (await visitor.ask("GET", "/v1/models", key=phone["access_token"]))[0] == 401
    status, said = await visitor.ask("POST", "/api/auth/logout", key=laptop["access_token"])
    assert status < 300, said
    assert (await visitor.ask("GET", "/v1/models", key=laptop["access_token"]))[0] == 401
    assert (await visitor.ask("GET", "/v1/models", key=made["api_key"]["key"]))[0] == 200


async def test_what_an_administrator_changes_holds_at_once(tmp_path: Path) -> None:
    admin = await create_admin(tmp_path / "data" / "auth", AuthSettings(), password=PASSWORD)
    async with visiting(tmp_path) as visitor:
        _, made = await visitor.ask("POST", "/api/auth/register", **ADA)
        _, session = await visitor.ask("POST", "/api/auth/login", username="ada", password=PASSWORD)
        _, root = await visitor.ask("POST", "/api/auth/login", username="admin", password=PASSWORD)
        ada, key, token = f"/api/admin/users/{made['id']}", made["api_key"]["key"], session["access_token"]
        users = "/api/admin/users"
        assert (await visitor.ask("GET", users, key=token))[0] == 403
        for role, status in (("admin", 200), ("user", 403)):
            assert (await visitor.ask("PATCH", ada, key=root["access_token"], role=role))[0] == 200
            assert (await visitor.ask("GET", users, key=token))[0] == status
        assert (await visitor.ask("GET", users, key=admin.key or ""))[0] == 403  # it takes a log-in, or the scope
        status, said = await visitor.ask("PATCH", ada, key=root["access_token"], is_active=False)
        assert status == 200, said
        for credential in (key, token):
            assert (await visitor.ask("GET", "/v1/models", key=credential))[0] == 401
        assert (await visitor.ask("PATCH", ada, key=root["access_token"], is_active=True))[0] == 200
        assert (await visitor.ask("GET", "/v1/models", key=key))[0] == 200
        assert (await visitor.ask("DELETE", ada, key=root["access_token"]))[0] < 300
        assert (await visitor.ask("GET", "/v1/models", key=key))[0] == 401
