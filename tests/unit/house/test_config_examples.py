"""The example configuration: every file is read, and says what holds anyway."""

from pathlib import Path
from typing import Any

import pytest

from hyperinfer.kernel.config import load
from hyperinfer.kernel.worker import WorkerType
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.client.worker import WORKER as CLIENT
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE
from hyperinfer.workers.metrics.worker import WORKER as METRICS

EXAMPLES = Path(__file__).parents[3] / "config"
WORKERS = (AUTH, GATEWAY, INFERENCE, CLIENT, METRICS)


@pytest.mark.parametrize("worker", WORKERS, ids=lambda worker: worker.name)
def test_the_example_is_read_and_shows_the_defaults(worker: WorkerType[Any]) -> None:
    loaded = load(worker.name, worker.settings, folder=EXAMPLES, environ={})
    assert loaded.settings == worker.settings()
    assert f"{worker.name}.json" in loaded.origins.values()
    assert "common.json" in loaded.origins.values()


def test_there_is_an_example_for_each_worker_and_no_other() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == {"common", *(worker.name for worker in WORKERS)}
