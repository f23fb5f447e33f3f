"""What a browser and its downloads do, with real auth behind a real gateway."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts.people import SCOPES
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"
LOGIN = {"username": "admin", "password": PASSWORD}
OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    await create_admin(tmp_path / "data" / "auth", AuthSettings(), password=PASSWORD)
    parts = [
        part(AUTH, home=tmp_path),
        part(INFERENCE, home=tmp_path, llamacpp__enabled=False, echo__enabled=True, echo__context_tokens=50),
        part(GATEWAY, home=tmp_path, http__port=0),
    ]
    async with swarm(parts, home=tmp_path) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        yield running["gateway"].addresses["http"]


@pytest.fixture
async def browser(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, as browsers do."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers=OUR_PAGE) as session:
        yield session


async def logged_in(browser: aiohttp.ClientSession) -> dict[str, str]:
    """Log in for a cookie; gives the header that goes with it."""
    async with browser.post("/api/auth/login", json=LOGIN | {"cookie": True}) as reply:
        assert reply.status == 200, await reply.text()
        return {"X-CSRF-Token": (await reply.json())["csrf_token"]}


def session_in(browser: aiohttp.ClientSession) -> str | None:
    return next((cookie.value for cookie in browser.cookie_jar if cookie.key == "hi_session"), None)


async def test_a_session_in_a_cookie_from_log_in_to_log_out(browser: aiohttp.ClientSession) -> None:
    csrf = await logged_in(browser)
    async with browser.get("/api/me") as reply:
        assert (await reply.json())["username"] == "admin"
    async with browser.post("/api/auth/api-keys", json={"name": "no"}) as reply:
        assert reply.status == 403
    async with browser.post("/api/auth/api-keys", json={"name": "yes"}, headers=csrf) as reply:
        assert reply.status == 201
    async with browser.get("/v1/models") as reply:
        assert reply.status == 401

    first = session_in(browser)  # within one second, the new token is the same one
    async with browser.post("/api/auth/refresh", headers=csrf) as reply:
        renewed = {"X-CSRF-Token": (await reply.json())["csrf_token"]}
        assert reply.headers["set-cookie"].startswith("hi_session=eyJ")
    async with browser.get("/api/auth/csrf") as reply:
        assert (await reply.json())["csrf_token"] == renewed["X-CSRF-Token"]

    kept = session_in(browser)
    async with browser.post("/api/auth/logout", headers=renewed) as reply:
        assert reply.status == 204
    assert session_in(browser) is None
    for stolen in (first, kept):
        async with browser.get("/api/me", headers={"Cookie": f"hi_session={stolen}"}) as reply:
            assert reply.status == 401
            assert "Max-Age=0" in reply.headers["set-cookie"]


async def test_what_was_used_and_done_as_files(browser: aiohttp.ClientSession) -> None:
    csrf = await logged_in(browser)
    body = {"name": '=HYPERLINK("x")', "scopes": SCOPES}
    async with browser.post("/api/auth/api-keys", json=body, headers=csrf) as reply:
        made = await reply.json()
    key = {"Authorization": f"Bearer {made['key']}"}
    async with browser.post("/v1/chat/completions", json=CHAT, headers=key | {"X-Request-Id": "@SUM(1)"}) as reply:
        assert reply.status == 200

    async def counted() -> bool:
        async with browser.get("/api/usage") as reply:
            return bool((await reply.json())["total"]["requests"] == 1)

    await eventually(counted)
    by_key = await table(browser, "/api/usage?group=key&format=csv")
    assert by_key[0]["label"] == '\'=HYPERLINK("x")'
    assert by_key[-1]["total_tokens"] == "6"
    [request] = await table(browser, "/api/usage/requests?format=csv")
    assert (request["request_id"], request["api_key_id"]) == ("'@SUM(1)", made["id"])
    assert {row["action"] for row in await table(browser, "/api/admin/audit?format=csv")} >= {"key.created"}
    async with browser.get("/api/admin/audit?format=jsonl&action=key.*") as reply:
        rows = [json.loads(line) for line in (await reply.text()).splitlines()]
    assert {row["action"] for row in rows} == {"key.created"}
    async with browser.get("/api/me/export") as reply:
        exported = await reply.text()
    assert made["key"] not in exported


async def table(browser: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
    async with browser.get(path) as reply:
        assert reply.status == 200, await reply.text()
        return list(csv.DictReader(io.StringIO(await reply.text())))


async def test_a_key_in_a_url_is_in_no_log(
    browser: aiohttp.ClientSession, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    csrf = await logged_in(browser)
    async with browser.post("/api/auth/api-keys", json={}, headers=csrf) as reply:
        key = (await reply.json())["key"]
    for path in (f"/v1/models?api_key={key}", f"/v1/models/{key}", f"/api/auth/api-keys/{key}"):
        async with browser.get(path, headers={"X-API-Key": key}) as reply:
            assert reply.status == 400
            assert key[12:] not in await reply.text()
    logged = "".join(capfd.readouterr())
    assert key[12:] not in logged
    assert holding(tmp_path, key[12:].encode()) == []


def holding(folder: Path, secret: bytes) -> list[Path]:
    """Files with this in them."""
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]
