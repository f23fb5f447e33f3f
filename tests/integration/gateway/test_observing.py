"""The swarm's health through a real gateway: from the metrics worker to an administrator's HTTP client, and back when that has gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from hyperinfer.contracts.metrics import SystemHealth
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.metrics import FakeMetrics
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway import observing
from hyperinfer.workers.gateway.worker import WORKER

HEALTH = SystemHealth(status="ok", at="2026-01-01T00:00:00Z")
EVENTS = "/api/admin/system/events"
FIRST = b'data: {"status":"ok","at":"2026-01-01T00:00:00Z","workers":[],"alerts":[]}\n\n'


class Observed:
    """A gateway with its auth and its metrics worker, and an administrator's client of it."""

    def __init__(self, auth: FakeAuth, metrics: FakeMetrics, key: str, http: aiohttp.ClientSession) -> None:
        self.auth = auth
        self.metrics = metrics
        self.key = key
        self.http = http


@pytest.fixture
async def observed(tmp_path: Path) -> AsyncIterator[Observed]:
    auth, metrics = FakeAuth(), FakeMetrics(HEALTH)
    key = auth.person("ada", role="admin")
    parts = [
        part(auth.worker(), home=tmp_path),
        part(WORKER, home=tmp_path, http__port=0),
        part(metrics.worker(), home=tmp_path),
    ]
    async with (
        swarm(parts, home=tmp_path) as workers,
        aiohttp.ClientSession(workers["gateway"].addresses["http"], headers={"x-api-key": key}) as http,
    ):
        yield Observed(auth, metrics, key, http)


async def test_an_administrator_sees_the_swarm_and_others_do_not(observed: Observed) -> None:
    async with observed.http.get("/api/admin/system") as answer:
        assert await answer.json() == {"status": "ok", "at": HEALTH.at, "workers": [], "alerts": []}
    user = {"x-api-key": observed.auth.person("bob")}
    for path in ("/api/admin/system", EVENTS, "/api/admin/logs", "/api/admin/alerts"):
        async with observed.http.get(path, headers=user) as answer:
            assert answer.status == 403


async def test_whoever_hangs_up_is_watched_for_no_more(observed: Observed) -> None:
    async with observed.http.get(EVENTS) as answer:
        assert await answer.content.readuntil(b"\n\n") == FIRST
        observed.metrics.collected()
        assert await answer.content.readuntil(b"\n\n") == FIRST
        assert observed.metrics.watching == 1
    async with asyncio.timeout(1):
        await observed.metrics.nobody.wait()


async def test_a_revoked_key_sees_no_more(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "CHECK_AGAIN_S", 0.0)
    async with observed.http.get(EVENTS) as answer:
        await answer.content.readuntil(b"\n\n")
        observed.auth.revoke(observed.key)
        async with asyncio.timeout(10):
            while True:
                observed.metrics.collected()
                event = await answer.content.readuntil(b"\n\n")
                if b'"error"' in event:
                    break
        assert b"revoked" in event
    async with asyncio.timeout(1):
        await observed.metrics.nobody.wait()


async def test_who_watches_holds_up_no_end(tmp_path: Path) -> None:
    auth, metrics = FakeAuth(), FakeMetrics(HEALTH)
    key = auth.person("ada", role="admin")
    parts = [
        part(auth.worker(), home=tmp_path),
        part(metrics.worker(), home=tmp_path),
        part(WORKER, home=tmp_path, http__port=0, drain_s=30.0),
    ]
    async with asyncio.timeout(10):
        async with swarm(parts, home=tmp_path) as workers:
            http = aiohttp.ClientSession(workers["gateway"].addresses["http"], headers={"x-api-key": key})
            answer = await http.get(EVENTS)
            await answer.content.readuntil(b"\n\n")
    last = await answer.content.read()
    assert b"stopping" in last
    await http.close()


async def test_without_a_metrics_worker_it_is_said_how_to_have_one(tmp_path: Path) -> None:
    auth = FakeAuth()
    key = auth.person("ada", role="admin")
    parts = [part(auth.worker(), home=tmp_path), part(WORKER, home=tmp_path, http__port=0)]
    async with (
        swarm(parts, home=tmp_path) as workers,
        aiohttp.ClientSession(workers["gateway"].addresses["http"], headers={"x-api-key": key}) as http,
    ):
        for path in ("/api/admin/system", EVENTS, "/api/admin/logs?follow=true"):
            async with http.get(path) as answer:
                assert answer.status == 503
                assert "hyperinfer worker --wtype metrics" in (await answer.json())["error"]["message"]
