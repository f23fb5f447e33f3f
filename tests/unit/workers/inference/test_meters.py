"""What an inference worker shows of itself."""

from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import BackendStatus, ModelStatus, WorkerStatus
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.meters import Meters


def model(name: str, state: str = "ready") -> ModelStatus:
    return ModelStatus(name=name, backend="fake", state=state, slots=4, busy=2, queued=1)


def test_models_and_backends_are_shown_as_they_are_when_somebody_looks() -> None:
    registry = CollectorRegistry()
    told = WorkerStatus(
        models=(model("a"), model("b", "idle"), model("c", "idle")),
        backends=(BackendStatus("llamacpp", True, 2), BackendStatus("ollama", False, 1)),
    )
    Meters(registry, ManualClock()).show(lambda: told)

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ai_platform_inference_{name}", labels)

    assert [shown(name, model="a") for name in ("slots", "slots_busy", "queued")] == [4, 2, 1]
    assert [shown("models", state=state) for state in ("ready", "idle", "loading", "away")] == [1, 2, 0, 0]
    assert (shown("backend_up", backend="llamacpp"), shown("backend_up", backend="ollama")) == (1, 0)
    told = WorkerStatus()
    assert (shown("slots", model="a"), shown("backend_up", backend="ollama")) == (None, None)
