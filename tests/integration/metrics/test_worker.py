"""The metrics worker in a swarm: whom it asks, what it shows of them, what it tells."""

from pathlib import Path

import aiohttp

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.metrics.worker import WORKER as METRICS


async def read(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status, await reply.text()


async def test_everybody_is_shown(tmp_path: Path) -> None:
    parts = [
        part(AUTH, home=tmp_path),
        part(FakeInference("m").worker(), home=tmp_path),
        part(METRICS, home=tmp_path, collect__interval_s=0.2, collect__timeout_s=0.2),
    ]
    async with swarm(parts, home=tmp_path) as workers:
        url = workers["metrics"].addresses["observe"]

        async def ready() -> bool:
            return (await read(f"{url}/readyz"))[0] == 200

        await eventually(ready)
        _, text = await read(f"{url}/metrics")
        for name in ("auth", "inference", "metrics"):
            assert f'ai_platform_worker_up{{worker="{name}",wtype="{name}"}} 1' in text
            assert f'ai_platform_requests_in_flight{{worker="{name}",wtype="{name}",service="{name}"}}' in text
