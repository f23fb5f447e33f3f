"""Tokens of a real model, as Prometheus counts them by way of the metrics worker."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from hyperinfer.testing.servers.prometheus import PrometheusServer

from .conftest import Starter, environment, free_port

pytestmark = [pytest.mark.slow, pytest.mark.needs_prometheus, pytest.mark.needs_model]

SEEN_S = 20.0
OWN = {
    "HYPERINFER_COMMON__NET__DRIVER": "false",
    "HYPERINFER_INFERENCE__LLAMACPP__THREADS": "1",
    "HYPERINFER_METRICS__COLLECT__INTERVAL_S": "0.5",
    "HYPERINFER_METRICS__COLLECT__TIMEOUT_S": "0.5",
    "HYPERINFER_METRICS__OBSERVE__PORT": "0",
}


def until(holds: Callable[[], bool]) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + SEEN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_tokens_of_a_real_model(start: Starter, tmp_path: Path) -> None:
    up = start("up", env=environment(tmp_path, PORT=str(free_port()), **OWN))
    up.until_ready()
    told: Counter[str] = Counter()
    with openai.OpenAI(base_url=up.fact("API"), api_key=up.fact("key"), max_retries=0) as client:
        for text in ("What is 2 + 2?", "Name a colour."):
            reply = client.chat.completions.create(
                model=up.fact("model"), messages=[{"role": "user", "content": text}], max_tokens=8
            )
            assert reply.usage
            told["prompt"] += reply.usage.prompt_tokens
            told["completion"] += reply.usage.completion_tokens
    until((tmp_path / "status" / "metrics.json").exists)
    url = json.loads((tmp_path / "status" / "metrics.json").read_text())["addresses"]["observe"]
    target = {"job_name": "swarm", "static_configs": [{"targets": [url.removeprefix("http://")]}]}
    with PrometheusServer.running(target) as prometheus:
        for name in ("ai_platform_tokens_total", "ai_platform_inference_tokens_total"):
            until(lambda name=name: prometheus.by("kind", f"sum by (kind) ({name})") == told)  # type: ignore[misc]
        engine = 'ai_platform_child_resident_memory_bytes{worker="inference",program="engine"}'
        until(lambda: [memory_bytes > 100e6 for _, memory_bytes in prometheus.query(engine)] == [True])
    assert up.stop() == 0
