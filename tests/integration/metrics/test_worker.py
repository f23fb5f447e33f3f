"""The metrics worker in a swarm: whom it asks, what it shows of them, what it tells and to whom."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hyperinfer.contracts.common import METRICS as GET_METRICS
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import (
    GET_HISTORY,
    GET_SYSTEM_HEALTH,
    RECORD_METRIC,
    WATCH_SYSTEM,
    HistoryQuery,
    RecordMetric,
    SystemHealth,
    at_metrics,
)
from hyperinfer.errors import Forbidden
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Part, Running, running
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.metrics.worker import WORKER as METRICS

QUICK: dict[str, Any] = {"collect__interval_s": 0.2, "collect__timeout_s": 0.2}
WATCHED = msgspec.json.Decoder(SystemHealth)


class Stack:
    """A swarm in which one gateway only asks."""

    def __init__(self, home: Path, workers: dict[str, Running], gateway: AskingGateway) -> None:
        self.home = home
        self.workers = workers
        self.gateway = gateway
        self.url = workers["metrics"].addresses["observe"]

    async def read(self, path: str, **headers: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path, headers=headers) as reply:
            return reply.status, await reply.text()

    async def shown(self, text: str) -> None:
        async def there() -> bool:
            return text in (await self.read("/metrics"))[1]

        await eventually(there)


@asynccontextmanager
async def stack(home: Path, *more: Part, net: MemoryNet | None = None, **settings: Any) -> AsyncIterator[Stack]:
    gateway = AskingGateway()
    parts = [part(AUTH, home=home), part(gateway.worker(), home=home), *more]
    async with swarm([*parts, part(METRICS, home=home, **QUICK, **settings)], home=home, net=net) as workers:
        yield Stack(home, dict(workers), gateway)


async def test_everybody_is_shown(tmp_path: Path) -> None:
    async with stack(tmp_path, part(FakeInference("m").worker(), home=tmp_path)) as one:
        for name in ("auth", "gateway", "inference", "metrics"):
            await one.shown(f'ai_platform_worker_up{{worker="{name}",wtype="{name}"}} 1')
            await one.shown(f'ai_platform_requests_in_flight{{worker="{name}",wtype="{name}",service="{name}"}}')
        assert (await one.read("/readyz"))[0] == 200
        targets = json.loads((await one.read("/sd"))[1])
        host = one.url.removeprefix("http://")
        assert targets[1] == {
            "targets": [host],
            "labels": {
                "__metrics_path__": "/workers/gateway/metrics",
                "instance": "gateway",
                "worker": "gateway",
                "wtype": "gateway",
            },
        }
        for target in targets:
            status, text = await one.read(target["labels"]["__metrics_path__"])
            assert status == 200
            assert f'service="{target["labels"]["wtype"]}"' in text
            assert "wtype=" not in text, "Prometheus adds these by itself"


async def test_a_stranger_says_that_it_is_one(tmp_path: Path) -> None:
    async with swarm([part(AUTH, home=tmp_path)], home=tmp_path):
        pass
    alone = running([part(METRICS, home=tmp_path, **QUICK)], home=tmp_path, net=MemoryNet(), clock=SystemClock())
    async with (
        alone as (metrics,),
        aiohttp.ClientSession() as session,
        session.get(f"{metrics.addresses['observe']}/readyz") as reply,
    ):
        assert reply.status == 503
        [reason] = (await reply.json())["reasons"]
        assert "no member" in reason
        assert "hyperinfer join" in reason


async def test_a_worker_that_goes_is_shown_as_gone(tmp_path: Path) -> None:
    net = MemoryNet()
    async with stack(tmp_path, net=net) as one:
        async with swarm([part(FakeInference("m").worker(), home=tmp_path)], home=tmp_path, net=net):
            await one.shown('ai_platform_worker_up{worker="inference",wtype="inference"} 1')
        await one.shown('ai_platform_worker_up{worker="inference",wtype="inference"} 0')
        assert 'ai_platform_requests_in_flight{worker="inference"' not in (await one.read("/metrics"))[1]
        status, text = await one.read("/workers/inference/metrics")
        assert (status, "cannot be reached" in text) == (503, True)
        health = await one.gateway.service("metrics").call(at_metrics(GET_SYSTEM_HEALTH), Nothing())
        [gone] = [worker for worker in health.workers if worker.name == "inference"]
        assert gone.state == "lost"
        assert gone.reasons


async def test_an_unknown_worker_and_a_strange_host(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        assert (await one.read("/workers/nobody/metrics"))[0] == 404
        assert (await one.read("/sd", Host='a"b'))[0] == 403


async def test_whoever_asks_is_told_of_everybody_and_metrics_workers_of_one(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        await one.shown('ai_platform_worker_up{worker="auth"')
        everybody = await one.gateway.service("metrics").call(GET_METRICS, Nothing())
        assert 'worker="auth"' in everybody.text
        own = await one.workers["metrics"].own.call(GET_METRICS, Nothing())
        assert "worker_up" not in own.text
        assert "ai_platform_collect_rounds_total" in own.text


async def test_health_is_told_to_gateways_now_and_after_each_collection(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        heard: asyncio.Queue[SystemHealth] = asyncio.Queue()

        async def hear(chunks: Sequence[bytes]) -> None:
            for chunk in chunks:
                await heard.put(WATCHED.decode(chunk))

        watching = asyncio.create_task(
            one.gateway.service("metrics").call(at_metrics(WATCH_SYSTEM), Nothing(), sink=hear)
        )
        async with asyncio.timeout(10):
            first, second = await heard.get(), await heard.get()
            assert second.at > first.at
            while {"auth", "gateway", "metrics"} != {one.name for one in second.workers if one.state == "ready"}:
                second = await heard.get()
        assert all(worker.figures.memory_bytes for worker in second.workers)
        watching.cancel()
        with pytest.raises(Forbidden):
            await one.workers["metrics"].own.call(at_metrics(GET_SYSTEM_HEALTH), Nothing())


async def test_figures_are_kept_over_time_and_over_a_restart(tmp_path: Path) -> None:
    query = HistoryQuery(figures=("memory_bytes",))
    async with stack(tmp_path) as one:
        await one.shown('ai_platform_worker_up{worker="auth"')
        first = await one.gateway.service("metrics").call(at_metrics(GET_HISTORY), query)
        assert {len(series.worker) for series in first.series} == {64}
    async with stack(tmp_path) as one:
        second = await one.gateway.service("metrics").call(at_metrics(GET_HISTORY), query)
        assert any(value for series in second.series for value in series.values)


async def test_a_figure_of_somebodys_own_is_shown(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        request = RecordMetric(name="jobs", value=3, kind="counter", labels={"queue": "night"})
        await one.gateway.service("metrics").call(RECORD_METRIC, request)
        await one.shown(
            'ai_platform_custom_jobs_total{worker="metrics",wtype="metrics",queue="night",recorded_by="gateway"} 3.0'
        )


async def test_a_token_is_asked_for_where_metrics_are_shown_and_nowhere_else(tmp_path: Path) -> None:
    async with stack(tmp_path, observe__token="s3cret") as one:
        for path in ("/metrics", "/sd", "/workers/auth/metrics"):
            assert (await one.read(path))[0] == 401
            assert (await one.read(path, Authorization="Bearer s3cre"))[0] == 401
            assert (await one.read(path, Authorization="Bearer s3cret"))[0] == 200
        assert (await one.read("/healthz"))[0] == 200
        assert (await one.read("/readyz"))[0] in (200, 503)


async def test_beyond_this_machine_metrics_are_shown_to_holders_of_a_token_alone(tmp_path: Path) -> None:
    async with stack(tmp_path, observe__host="0.0.0.0") as one:
        status, text = await one.read("/metrics")
        assert (status, "observe.token" in text) == (403, True)
        assert (await one.read("/healthz"))[0] == 200


async def test_a_page_that_rebinds_dns_is_shown_nothing(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        for path in ("/metrics", "/links", "/sd", "/workers/auth/metrics"):
            status, text = await one.read(path, Host="evil.test:9105")
            assert (status, "localhost" in text) == (403, True)
        for host in ("localhost:9105", "LOCALHOST", "127.0.0.1", "[::1]:9105"):
            assert (await one.read("/sd", Host=host))[0] == 200
    async with stack(tmp_path, observe__token="s3cret") as one:
        assert (await one.read("/sd", Host="swarm.test", Authorization="Bearer s3cret"))[0] == 200
        assert (await one.read("/sd", Host='a"b', Authorization="Bearer s3cret"))[0] == 400
