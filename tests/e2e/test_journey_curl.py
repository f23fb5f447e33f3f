"""The whole journey of a person with curl alone, on both databases: from registering to a key that is refused."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ECHO, Starter, environment, free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")]

LIMIT = 5
PASSWORD = "correct horse battery"
PROMPT = "the heron waits by the water"
CHAT = {"model": "echo", "messages": [{"role": "user", "content": PROMPT}]}


class Curl:
    """Runs curl against one server; gives status, headers in lower case, and the body."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: str = "", accept: str = ""
    ) -> tuple[int, dict[str, str], Any]:
        words = ["curl", "--silent", "--show-error", "--include", "--max-time", "30", "--request", method]
        if key:
            words += ["--header", f"Authorization: Bearer {key}"]
        if accept:
            words += ["--header", f"Accept: {accept}"]
        if body is not None:
            words += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        ended = subprocess.run([*words, self.url + path], capture_output=True, text=True, timeout=40, check=True)
        head, _, text = ended.stdout.partition("\n\n")
        status, *lines = head.splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        kind = headers.get("content-type", "")
        return int(status.split()[1]), headers, json.loads(text) if kind.startswith("application/json") else text


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def curl(start: Starter, home: Path, database_url: str) -> Iterator[Curl]:
    port = str(free_port())
    limit = {"HYPERINFER_AUTH__TIERS__DEFAULT__REQUESTS_PER_MINUTE": str(LIMIT)}
    up = start("up", env=environment(home, PORT=port, DATABASE_URL=database_url, **limit, **ECHO))
    up.until_ready()
    yield Curl(f"http://127.0.0.1:{port}")
    assert up.stop() == 0
    said = up.said + "".join(path.read_text() for path in home.rglob("*.log"))
    for secret in (PASSWORD, PROMPT, "hi_", "eyJ"):
        shown = [line for line in said.splitlines() if secret in line and line not in up.out]
        assert not shown, f"a log says {secret!r}: {shown[:3]}"


def test_from_registering_to_revoking(curl: Curl) -> None:
    status, _, account = curl(
        "POST", "/api/auth/register", {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
    )
    assert status == 201
    assert (account["username"], account["role"], account["tier"]) == ("ada", "user", "default")
    assert curl("POST", "/api/auth/register", {"email": "ada@example.org", "password": PASSWORD})[0] == 409

    assert curl("POST", "/api/auth/login", {"username": "ada", "password": "wrong horse"})[0] == 401
    status, _, session = curl("POST", "/api/auth/login", {"username": "ada", "password": PASSWORD})
    assert (status, session["token_type"]) == (200, "bearer")
    token = session["access_token"]

    status, _, key = curl("POST", "/api/auth/api-keys", {"name": "laptop"}, key=token)
    assert status == 201
    assert key["key"].startswith("hi_")
    status, _, listed = curl("GET", "/api/auth/api-keys", key=token)
    assert sorted(row["name"] for row in listed["data"]) == ["default", "laptop"]
    assert "key" not in listed["data"][0]

    first_at = time.time()
    for left in range(LIMIT - 1, -1, -1):
        status, headers, answer = curl("POST", "/v1/chat/completions", CHAT, key=key["key"])
        assert (status, answer["choices"][0]["message"]["content"]) == (200, PROMPT)
        assert headers["x-ratelimit-remaining-requests"] == str(left)
    status, headers, refusal = curl("POST", "/v1/chat/completions", CHAT, key=key["key"])
    assert (status, refusal["error"]["code"]) == (429, "rate_limit_exceeded")
    free_in_s = first_at + 60 - time.time()
    assert free_in_s - 1 <= int(headers["retry-after"]) <= free_in_s + 2

    status, _, quota = curl("GET", "/api/quota", key=key["key"])
    assert status == 200
    a_minute = next(row for row in quota["limits"] if row["limit"] == LIMIT)
    assert (a_minute["used"], a_minute["remaining"]) == (LIMIT, 0)

    deadline = time.monotonic() + 10
    while True:
        status, _, usage = curl("GET", "/api/usage?group=key", key=token)
        assert status == 200
        if usage["total"]["requests"] == LIMIT or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert usage["total"]["requests"] == LIMIT
    assert usage["total"]["completion_tokens"] == LIMIT * len(PROMPT.split())
    assert [row["label"] for row in usage["rows"]] == ["laptop"]
    status, headers, csv = curl("GET", "/api/usage", key=token, accept="text/csv")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/csv")
    assert csv.startswith("key,label,requests,")
    assert f",{LIMIT}," in csv.splitlines()[1]

    assert curl("DELETE", f"/api/auth/api-keys/{key['id']}", key=token)[0] == 200
    status, _, refusal = curl("POST", "/v1/chat/completions", CHAT, key=key["key"])
    assert (status, refusal["error"]["code"]) == (401, "invalid_api_key")
    status, _, me = curl("GET", "/api/me", key=token)
    assert (status, me["email"]) == (200, "ada@example.org")
    assert curl("POST", "/api/auth/logout", key=token)[0] == 204
    assert curl("GET", "/api/me", key=token)[0] == 401
