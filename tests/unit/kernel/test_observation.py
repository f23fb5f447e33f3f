"""What is seen of a call: counted, timed, labelled, told and traced, however it ends."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.common import PING
from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import HyperinferError, ModelNotFound, Overloaded
from hyperinfer.facilities import labels, tracing
from hyperinfer.facilities.labels import Labels
from hyperinfer.kernel.observation import Observation

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Ears:
    """Who is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, Labels, dict[str, Any]]] = []

    def __call__(self, method: str, status: str, duration_s: float, labels: Labels, facts: dict[str, Any]) -> None:
        assert duration_s >= 0
        self.heard.append((method, status, labels, facts))


class Stand:
    """An observation, what it counts, and what it tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ears = Ears()
        self.observation = Observation("gateway", registry=self.registry, worker="gateway-2", tell=self.ears)

    def count(self, method: str, status: str) -> float:
        wanted = {"service": "gateway", "method": method, "status": status}
        return self.registry.get_sample_value("ai_platform_requests_total", wanted) or 0.0

    def timed(self, method: str) -> float:
        wanted = {"service": "gateway", "method": method}
        return self.registry.get_sample_value("ai_platform_call_duration_seconds_count", wanted) or 0.0


@pytest.fixture
def stand() -> Iterator[Stand]:
    yield Stand()
    assert labels.CURRENT.get() == labels.NONE
    assert tracing.CURRENT.get() is None


def test_a_call_that_ends_well_is_counted_timed_and_told(stand: Stand) -> None:
    with stand.observation.call(PROCESS_INFERENCE) as seen:
        seen.carries(Meta(request_id="r1", traceparent=PARENT))
        seen.note(model="m", prompt_tokens=3)
        assert labels.CURRENT.get() == Labels("gateway-2", "r1", TRACE)
    assert (stand.count(PROCESS_INFERENCE.name, "ok"), stand.timed(PROCESS_INFERENCE.name)) == (1, 1)
    [(method, status, told, facts)] = stand.ears.heard
    assert (method, status, told) == (PROCESS_INFERENCE.name, "ok", Labels("gateway-2", "r1", TRACE))
    assert facts == {"model": "m", "prompt_tokens": 3}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelNotFound("no"), "MODEL_NOT_FOUND"),
        (Overloaded("no"), "OVERLOADED"),
        (ZeroDivisionError(), "INTERNAL"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_every_end_has_a_status_of_ours(stand: Stand, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), stand.observation.call(PROCESS_INFERENCE):
        raise error
    assert stand.count(PROCESS_INFERENCE.name, status) == 1
    assert [heard[1] for heard in stand.ears.heard] == [status]


def test_what_machines_call_again_and_again_is_counted_and_told_only_of_trouble(stand: Stand) -> None:
    assert PING.quiet
    for error in (None, asyncio.CancelledError(), Overloaded("no")):
        with suppress(asyncio.CancelledError, HyperinferError), stand.observation.call(PING) as seen:
            seen.carries(Meta())
            if error is not None:
                raise error
    assert [stand.count(PING.name, status) for status in ("ok", "cancelled", "OVERLOADED")] == [1, 1, 1]
    assert stand.timed(PING.name) == 0
    assert [heard[1] for heard in stand.ears.heard] == ["OVERLOADED"]


def test_calls_of_no_method_share_one_series(stand: Stand) -> None:
    for _ in range(3):
        stand.observation.refused("UNKNOWN_METHOD")
    assert stand.count("unknown", "UNKNOWN_METHOD") == 3


def test_what_is_under_way_is_shown_as_it_is_when_somebody_looks(stand: Stand) -> None:
    under_way = [7]
    stand.observation.show_in_flight(lambda: under_way[0])
    assert stand.registry.get_sample_value("ai_platform_requests_in_flight", {"service": "gateway"}) == 7
    under_way[0] = 0
    assert stand.registry.get_sample_value("ai_platform_requests_in_flight", {"service": "gateway"}) == 0
