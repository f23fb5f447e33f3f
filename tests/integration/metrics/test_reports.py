"""A usage report through the whole swarm: what somebody asked stands in what an administrator reads, and nobody else reads it."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from hyperinfer.contracts.usage import RECORD_USAGE
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.usage.config import Price
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.metrics.worker import WORKER as METRICS

PASSWORD = "correct horse battery staple"
PROMPT = "sesame-open-4711"
NASTY = "=<b>1"
PRICES = {"m": Price(prompt_per_million=1_000.0, completion_per_million=1_000.0)}


class Visitor:
    """Somebody who speaks HTTP to the gateway."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def ask(self, method: str, path: str, key: str, **body: object) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self._http.request(method, self._url + path, headers=headers, json=body or None) as answer:
            return answer.status, await answer.text()

    async def logged_in(self, name: str) -> str:
        _, said = await self.ask("POST", "/api/auth/login", "", username=name, password=PASSWORD)
        return str(json.loads(said)["access_token"])


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    await create_admin(tmp_path / "data" / "auth", AuthSettings(), password=PASSWORD)
    parts = [
        part(AUTH, home=tmp_path, usage__prices=PRICES),
        part(GATEWAY, home=tmp_path, http__port=0),
        part(FakeInference("m").worker(), home=tmp_path),
        part(METRICS, home=tmp_path, collect__interval_s=0.5, collect__timeout_s=0.4, history__write_s=0.5),
    ]
    async with swarm(parts, home=tmp_path) as running, aiohttp.ClientSession() as http:
        yield Visitor(http, running["gateway"].addresses["http"])


async def test_what_was_asked_is_reported_to_administrators_alone(visitor: Visitor) -> None:
    assert RECORD_USAGE.access.roles == {"gateway"}
    await visitor.ask("POST", "/api/auth/register", "", username="ada", email="a@example.org", password=PASSWORD)
    ada, admin = await visitor.logged_in("ada"), await visitor.logged_in("admin")
    _, made = await visitor.ask("POST", "/api/auth/api-keys", ada, name=NASTY)
    key = json.loads(made)["key"]
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
    for _ in range(3):
        status, said = await visitor.ask("POST", "/v1/chat/completions", key, **body)
        assert status == 200, said
    reports = "/api/admin/reports"
    today = f"{reports}/usage-{datetime.now(UTC).date()}"

    async def counted() -> bool:
        _, said = await visitor.ask("GET", "/api/admin/usage", admin)
        return bool(json.loads(said)["total"]["requests"] == 3)

    await eventually(counted)
    for path in (reports, today):
        for credential, status in ((ada, 403), (key, 403), ("", 401)):
            assert (await visitor.ask("GET", path, credential))[0] == status
    forms = {}
    for form in ("html", "csv", "text"):
        status, forms[form] = await visitor.ask("GET", f"{today}?format={form}", admin)
        assert status == 200, forms[form]
        assert PROMPT not in forms[form]
        assert key not in forms[form]
        assert "a@example.org" not in forms[form]
    [row] = csv.DictReader(forms["csv"].splitlines())
    assert (row["user"], row["model"], row["requests"], row["errors"]) == ("ada", "m", "3", "0")
    assert row["api_key"] == f"ada: {NASTY} ({key[:11]}\N{HORIZONTAL ELLIPSIS})"
    assert float(row["cost"]) == pytest.approx(int(row["total_tokens"]) / 1000)
    assert "ada: =&lt;b&gt;1" in forms["html"]
    assert "<b>" not in forms["html"]
    [line] = [line for line in forms["text"].splitlines() if line.startswith("  inference")]
    assert line.split()[1] == "3"
    assert json.loads((await visitor.ask("GET", reports, admin))[1])["data"] == []
