"""The platform of real parts, the echo backend for a model: accounts, keys, limits and answers from end to end."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

ACCOUNT = {"username": "ada", "email": "ada@example.com", "password": "correct horse battery"}
CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    parts = [
        part(AUTH, home=tmp_path),
        part(INFERENCE, home=tmp_path, llamacpp__enabled=False, echo__enabled=True, echo__context_tokens=50),
        part(GATEWAY, home=tmp_path, http__port=0),
    ]
    async with swarm(parts, home=tmp_path) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        async with aiohttp.ClientSession(running["gateway"].addresses["http"]) as session:
            yield session


async def call(
    http: aiohttp.ClientSession, method: str, path: str, status: int, body: Any = None, key: str | None = None
) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.request(method, path, json=body, headers=headers) as reply:
        answer = await reply.json()
        assert reply.status == status, answer
        return answer


async def test_from_registering_to_revoking(http: aiohttp.ClientSession) -> None:
    made = await call(http, "POST", "/api/auth/register", 201, ACCOUNT)
    first = made["api_key"]["key"]
    await call(http, "POST", "/api/auth/register", 409, ACCOUNT)
    completion = await call(http, "POST", CHAT, 200, BODY, first)
    assert completion["choices"][0]["message"]["content"] == "one two three"
    assert completion["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    login = {"email": ACCOUNT["email"], "password": ACCOUNT["password"]}
    token = (await call(http, "POST", "/api/auth/login", 200, login))["access_token"]
    await call(http, "POST", "/api/auth/login", 401, {**login, "password": "not the password"})
    await call(http, "POST", CHAT, 200, BODY, token)
    new = await call(http, "POST", "/api/auth/api-keys", 201, {"name": "ci"}, token)
    await call(http, "POST", CHAT, 200, BODY, new["key"])
    keys = await call(http, "GET", "/api/auth/api-keys", 200, None, token)
    assert {row["name"] for row in keys["data"]} == {"default", "ci"}
    assert "secret" not in str(keys)
    await call(http, "DELETE", f"/api/auth/api-keys/{new['id']}", 200, None, token)

    async def refused() -> bool:
        async with http.get("/v1/models", headers={"X-API-Key": new["key"]}) as reply:
            return reply.status == 401

    await eventually(refused, timeout_s=3)
    one = await call(http, "POST", "/api/inference", 200, {"prompt": "hi there"}, token)
    assert (one["response"], one["model"], one["usage"]["total_tokens"]) == ("hi there", "echo", 4)


async def test_a_streamed_answer_counts_its_tokens(http: aiohttp.ClientSession) -> None:
    key = (await call(http, "POST", "/api/auth/register", 201, ACCOUNT))["api_key"]["key"]
    body = BODY | {"stream": True, "stream_options": {"include_usage": True}}
    async with http.post(CHAT, json=body, headers={"Authorization": f"Bearer {key}"}) as reply:
        events = (await reply.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [msgspec.json.decode(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]) == (
        "one two three"
    )
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 3


async def test_what_is_wrong_with_a_request_is_said(http: aiohttp.ClientSession) -> None:
    key = (await call(http, "POST", "/api/auth/register", 201, ACCOUNT))["api_key"]["key"]
    long = BODY | {"messages": [{"role": "user", "content": "word " * 51}]}
    for body, code, param in (
        (long, "context_length_exceeded", "messages"),
        (BODY | {"temperature": "hot"}, None, "temperature"),
        (BODY | {"messages": "hi"}, None, "messages"),
        ({"model": "echo"}, None, "messages"),
        (BODY | {"stream": 1}, None, "stream"),
    ):
        error = (await call(http, "POST", CHAT, 400, body, key))["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert error["message"].endswith(".")


async def test_a_new_account_has_the_default_limit(http: aiohttp.ClientSession) -> None:
    key = (await call(http, "POST", "/api/auth/register", 201, ACCOUNT))["api_key"]["key"]
    for _ in range(10):
        await call(http, "POST", CHAT, 200, BODY, key)
    await call(http, "POST", CHAT, 429, BODY, key)
