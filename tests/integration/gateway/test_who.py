"""Who may ask, how often, and what happens to credentials while auth is away."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts.limits import Limits
from hyperinfer.protocol import api_keys
from hyperinfer.testing.auth import PASSWORD, FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference

from .conftest import BODY, House, house


async def test_a_key_and_a_session_token_are_both_good(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        assert (await running.chat())[0] == 200
        assert (await running.chat(key=running.auth.token("ada")))[0] == 200


@pytest.mark.parametrize("key", ["hi_nobody", "nonsense", "eyJhbGciOiJub25lIn0.e30.", "eyJ"])
async def test_what_is_no_credential_is_refused_without_asking_auth(tmp_path: Path, key: str) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        before = running.auth.directory.reads
        for _ in range(5):
            status, body = await running.chat(key=key)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert running.auth.directory.reads - before <= 2, "no more than the watch's own beat"


async def test_made_up_keys_are_looked_for_so_often_and_no_more(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m"), strangers__checks_per_host_per_minute=3) as running:
        for _ in range(3):
            assert (await running.chat(key=api_keys.mint().text))[0] == 401
        assert (await running.chat(key=api_keys.mint().text))[0] == 429
        assert (await running.chat())[0] == 200, "who is known is not held up by it"


async def test_a_revoked_key_is_refused_within_two_seconds(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        key = running.auth.person("eve")
        assert (await running.chat(key=key))[0] == 200
        running.auth.revoke(key)
        await eventually(lambda: _answers(running, key, 401), timeout_s=2.0)


async def test_requests_are_answered_while_auth_is_away(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        token = running.auth.token("ada")
        assert (await running.chat(key=token))[0] == 200
        await running.kill("auth")
        for key in (None, token, running.auth.token("ada")):
            async with asyncio.timeout(3):
                assert (await running.chat(key=key))[0] == 200
        status, body = await running.chat(key=running.auth.person("new"))
        assert status == 503
        assert "auth" in body["error"]["message"]
        await running.stop("auth")
        await running.start("auth")
        key = running.auth.person("newer")
        await eventually(lambda: _answers(running, key, 200))


async def test_a_gateway_that_starts_while_auth_is_away_knows_everybody(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        token = running.auth.token("ada")
        await running.stop("auth")
        await running.stop("gateway")
        await running.start("gateway")
        headers = {"Authorization": f"Bearer {running.key}"}
        async with aiohttp.ClientSession(running.url, headers=headers) as running.http:
            await running.until_seen(inference_0="ready")
            for key in (None, token):
                assert (await running.chat(key=key))[0] == 200
            status, _ = await running.chat(key=running.auth.person("new"))
            assert status == 503
            await post(running, "/api/auth/login", {"username": "ada", "password": PASSWORD}, 503)


async def test_a_key_does_what_its_scopes_say_and_uses_its_models(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        narrow = await post(running, "/api/auth/api-keys", {"name": "narrow", "scopes": ["usage"]}, 201)
        assert (await running.chat(key=narrow["key"]))[0] == 403
        other = await post(running, "/api/auth/api-keys", {"name": "other", "models": ["another", "x-*"]}, 201)
        for model in ("m", ""):
            status, body = await running.chat(key=other["key"], model=model)
            assert status == 403
            assert "another" in body["error"]["message"]
        fitting = await post(running, "/api/auth/api-keys", {"name": "fitting", "models": ["m*"]}, 201)
        for model in ("m", ""):
            assert (await running.chat(key=fitting["key"], model=model))[0] == 200
        for key, seen in ((other, []), (fitting, ["m"])):
            async with running.http.get("/v1/models", headers={"Authorization": f"Bearer {key['key']}"}) as reply:
                assert [model["id"] for model in (await reply.json())["data"]] == seen


async def _answers(running: House, key: str, status: int) -> bool:
    return (await running.chat(key=key))[0] == status


async def test_a_tier_has_its_limit_and_replies_say_what_is_left(tmp_path: Path) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=3)})
    async with house(tmp_path, FakeInference("m"), auth=auth) as running:
        headers = {"Authorization": f"Bearer {running.auth.person('bob', tier='default')}"}
        left = []
        for stream in (False, True, False):
            body = BODY | {"stream": stream}
            async with running.http.post("/v1/chat/completions", json=body, headers=headers) as reply:
                assert reply.status == 200
                assert reply.headers["x-ratelimit-limit-requests"] == "3"
                left.append(reply.headers["x-ratelimit-remaining-requests"])
        assert left == ["2", "1", "0"]
        async with running.http.post("/v1/chat/completions", json=BODY, headers=headers) as reply:
            assert reply.status == 429
            assert 0 < int(reply.headers["retry-after"]) <= 60
            assert reply.headers["x-ratelimit-remaining-requests"] == "0"
            assert (await reply.json())["error"]["code"] == "rate_limit_exceeded"
        async with running.http.post("/api/inference", json={"prompt": "hi"}, headers=headers) as reply:
            assert reply.status == 429
        assert (await running.chat())[0] == 200, "another user is not limited by it"
        async with running.http.post("/v1/chat/completions", json=BODY) as reply:
            assert "x-ratelimit-limit-requests" not in reply.headers


async def test_registering_logging_in_and_keys(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running:
        given = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
        made = await post(running, "/api/auth/register", given, 201)
        assert (await running.chat(key=made["api_key"]["key"]))[0] == 200
        await post(running, "/api/auth/register", given, 409)
        await post(running, "/api/auth/register", {"email": "x@example.com"}, 400)
        await post(running, "/api/auth/login", {"email": "bob@example.com", "password": PASSWORD}, 200)
        session = await post(running, "/api/auth/login", {"username": "bob", "password": PASSWORD}, 200)
        assert (await running.chat(key=session["access_token"]))[0] == 200
        await post(running, "/api/auth/login", {"username": "bob", "password": "wrong"}, 401)
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        key = await post(running, "/api/auth/api-keys", {"name": "ci"}, 201, headers=headers)
        assert (await running.chat(key=key["key"]))[0] == 200
        async with running.http.get("/api/auth/api-keys", headers=headers) as reply:
            assert key["id"] in [row["id"] for row in (await reply.json())["data"]]
        async with running.http.delete(f"/api/auth/api-keys/{key['id']}", headers=headers) as reply:
            assert reply.status == 200
        async with running.http.delete("/api/auth/api-keys/nothing", headers=headers) as reply:
            assert reply.status == 404


async def test_registration_can_be_closed(tmp_path: Path) -> None:
    given = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
    async with house(tmp_path, registration__http="closed") as running:
        await post(running, "/api/auth/register", given, 403)


async def test_guessing_passwords_is_limited(tmp_path: Path) -> None:
    async with house(tmp_path, strangers__per_host_per_minute=3) as running:
        for _ in range(3):
            await post(running, "/api/auth/login", {"username": "ada", "password": "guess"}, 401)
        await post(running, "/api/auth/login", {"username": "ada", "password": PASSWORD}, 429)


async def post(
    running: House, path: str, body: dict[str, Any], status: int, headers: dict[str, str] | None = None
) -> Any:
    async with running.http.post(path, json=body, headers=headers) as reply:
        answer = await reply.json()
        assert reply.status == status, answer
        return answer
