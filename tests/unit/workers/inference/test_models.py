"""Which backend answers for a model that several have."""

import structlog

from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.inference.backends import Backend
from hyperinfer.workers.inference.backends.echo.backend import Echo
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.models import Models
from hyperinfer.workers.inference.slots import Slots


def backend(name: str, model: str) -> Backend:
    class Named(Echo):
        pass

    Named.name = name
    return Named(EchoSettings(model=model), SystemClock(), lambda: None)


def test_of_two_of_a_name_the_first_answers_and_the_other_is_reported_once() -> None:
    clock = SystemClock()

    def new_slots(model: str, limit: int) -> Slots:
        return Slots(limit, queue_limit=1, wait_s=1.0, clock=clock, changed=lambda: None)

    models = Models(default="", new_slots=new_slots, clock=clock)
    backends = [backend("first", "m"), backend("second", "m"), backend("third", "n")]
    with structlog.testing.capture_logs() as logged:
        models.refresh(backends)
        models.refresh(backends)
    assert {model.name: model.backend.name for model in models} == {"m": "first", "n": "third"}
    assert [(entry["name"], entry["of"], entry["by"]) for entry in logged if entry["event"] == "model_hidden"] == [
        ("m", "second", "first")
    ]
