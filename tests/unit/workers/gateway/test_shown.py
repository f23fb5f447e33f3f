"""What is shown of the gateway's state is as it is when somebody looks, bounded, and no two series are one."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from hyperinfer.contracts.inference import ModelStatus, WorkerStatus
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.fleet import model
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.journal import Journal, JournalSettings, Reserved
from hyperinfer.workers.gateway.limiting import MemoryLimiter
from hyperinfer.workers.gateway.offers import Worker
from hyperinfer.workers.gateway.progress import Progress
from hyperinfer.workers.gateway.shown import MAX_BREAKERS, ShownFleet, ShownUsage


class Scene:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.workers: list[Worker] = []
        self.waiting = 0
        ShownFleet(lambda: self.workers, lambda: self.waiting, registry=self.registry)

    def add(self, name: str, *models: ModelStatus, draining: bool = False) -> Worker:
        worker = Worker(bytes([len(self.workers) + 1]) * 32, name=name, caller=FakeGateway(), now=0)
        worker.report(WorkerStatus(models=models, draining=draining), 0)
        self.workers.append(worker)
        return worker

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ai_platform_{name}", labels)

    def count(self, name: str) -> int:
        return generate_latest(self.registry).decode().count(f"\nai_platform_{name}")


def test_workers_are_counted_by_state() -> None:
    scene = Scene()
    scene.add("a", model())
    scene.add("b", model(), draining=True)
    scene.add("c", model()).live = False
    scene.waiting = 3
    assert [scene.value("workers", state=state) for state in ("ready", "draining", "lost")] == [1, 1, 1]
    assert scene.value("requests_waiting") == 3


def test_queues_and_slots_are_those_of_all_workers_that_report() -> None:
    scene = Scene()
    scene.add("a", model("m", slots=4, busy=2, queued=5), model("n", state="loading", slots=2))
    scene.add("b", model("m", slots=1, busy=1, queued=7))
    scene.add("c", model("m", slots=8, queued=9)).live = False
    assert scene.value("queue_depth", model="m") == 12
    assert (scene.value("slots", model="m"), scene.value("slots_busy", model="m")) == (5, 3)
    assert scene.value("slots", model="n") == 0


def test_a_breaker_is_shown_for_each_worker_and_model_under_a_name_of_its_own() -> None:
    scene = Scene()
    box, twin, single = scene.add("box", model("m")), scene.add("box", model("m")), scene.add("single", model("m"))
    for _ in range(3):
        twin.offers["m"].breaker.failed(0)
    assert scene.value("breaker_open", peer=f"box-{box.hex[:8]}", model="m") == 0
    assert scene.value("breaker_open", peer=f"box-{twin.hex[:8]}", model="m") == 1
    assert scene.value("breaker_open", peer="single", model="m") == 0
    assert scene.value("worker_requests_in_flight", peer="single") == 0
    scene.workers.remove(single)
    assert scene.value("breaker_open", peer="single", model="m") is None


def test_of_too_many_breakers_the_open_ones_are_shown() -> None:
    scene = Scene()
    for box in range(9):
        scene.add(f"box {box}", *(model(f"m{n}") for n in range(200)))
    for _ in range(3):
        scene.workers[-1].offers["m199"].breaker.failed(0)
    assert scene.count("breaker_open{") == MAX_BREAKERS
    assert scene.value("breaker_open", peer="box 8", model="m199") == 1
    assert scene.count("queue_depth{") == 101
    assert scene.value("slots", model="other") == 9 * 100 * 4


async def test_the_journal_is_shown_with_its_size_and_the_oldest_that_waits(tmp_path: Path) -> None:
    registry, clock = CollectorRegistry(), ManualClock()
    journal = Journal(tmp_path, clock=clock, settings=JournalSettings())
    ShownUsage(journal, MemoryLimiter(clock, max_logged=1000, keep=lambda _: None), registry=registry)

    def shown(name: str) -> float | None:
        return registry.get_sample_value(f"ai_platform_{name}")

    await journal.open()
    assert shown("journal_segments") == 1
    assert shown("journal_bytes") == _size(tmp_path)
    assert [shown(name) for name in ("usage_waiting", "usage_oldest_seconds", "usage_stuck", "limits_degraded")] == [
        0
    ] * 4
    reserved = Reserved(user_id="u", key_id=None, model="m", kind="chat", prompt_hash="h", request_id=None)
    journal.begin(reserved, Progress(prompt_estimate=1, clock=clock)).settle("success")
    clock.advance(30)
    _, position = await journal.backlog.oldest(10)
    assert shown("usage_waiting") == 1
    assert shown("usage_oldest_seconds") == 30
    journal.backlog.delivered(position, 1)
    assert (shown("usage_waiting"), shown("usage_oldest_seconds")) == (0, 0)
    await journal.close()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.log"))
