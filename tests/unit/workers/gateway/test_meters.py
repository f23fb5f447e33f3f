"""What the gateway counts of requests: by model and tier, and of people only where that is wished for."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import RateLimited
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.active_users import ActiveUsers
from hyperinfer.workers.gateway.config import MeterSettings
from hyperinfer.workers.gateway.limiting import MemoryLimiter
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.gateway.progress import Progress

ADA = Principal(user_id="id-of-ada", username="ada", email="ada@example.com", key_id="id-of-key", tier="premium")
BOB = Principal(user_id="id-of-bob", username="bob", email="bob@example.com")


class Desk:
    def __init__(self, **settings: Any) -> None:
        self.clock, self.registry = ManualClock(), CollectorRegistry()
        self.meters = Meters(self.registry, self.clock, MeterSettings(**settings))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"ai_platform_{name}", labels)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def used(self, who: Principal, *, model: str = "m", prompt_tokens: int = 3, completion_tokens: int = 2) -> None:
        record = UsageRecord(
            id="0" * 36,
            user_id=who.user_id,
            started_at=self.clock.now(),
            status="success",
            model=model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
        self.meters.used(who, record)


def processed(tokens: int, **more: Any) -> Processed:
    usage = Usage(prompt_tokens=3, completion_tokens=tokens)
    return Processed(usage=usage, finish_reason="stop", model="m", **more)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    text = desk.text()
    assert not [told for told in ("ada", "bob", "id-of", "example") if told in text]


def test_a_streamed_answer_says_how_fast_it_was(desk: Desk) -> None:
    progress = Progress(prompt_estimate=3, clock=desk.clock)
    desk.clock.advance(0.5)
    progress.relayed([b'{"content":"one"}'])
    desk.clock.advance(2.0)
    desk.meters.answered("m", progress, processed(5, queued_s=0.2))
    assert desk.value("request_duration_seconds_sum", service="gateway", model="m") == 2.5
    assert desk.value("first_token_seconds_sum", model="m") == 0.5
    assert desk.value("time_per_output_token_seconds_sum", model="m") == 0.5
    assert desk.value("queue_seconds_sum", model="m") == 0.2


def test_a_whole_answer_has_no_first_token_and_one_from_the_cache_no_speed(desk: Desk) -> None:
    progress = Progress(prompt_estimate=3, clock=desk.clock)
    desk.clock.advance(1)
    desk.meters.answered("m", progress, processed(5))
    progress.relayed([b'{"content":"one"}'])
    desk.meters.answered("m", progress, processed(5, cache="hit"))
    assert desk.value("request_duration_seconds_count", service="gateway", model="m") == 2
    assert desk.value("first_token_seconds_count", model="m") == 1
    assert desk.value("time_per_output_token_seconds_count", model="m") == 0
    assert desk.value("queue_seconds_count", model="m") == 1


def test_tokens_are_those_that_are_accounted_for(desk: Desk) -> None:
    desk.used(ADA)
    desk.used(BOB)
    desk.used(BOB, model="what is no model, and used nothing", prompt_tokens=0, completion_tokens=0)
    assert desk.value("tokens_total", model="m", kind="prompt") == 6
    assert desk.value("tokens_total", model="m", kind="completion") == 4
    assert "what is no model" not in desk.text()


async def test_a_refusal_says_which_limit_and_whose(desk: Desk) -> None:
    limiter = MemoryLimiter(desk.clock, max_logged=1000, keep=lambda _: None)
    for subject, limits in (("user:a", Limits(requests_per_minute=1)), ("key:k", Limits(concurrent_requests=0))):
        for _ in range(2):
            try:
                await limiter.admit((Subject(id=subject, limits=limits),), tokens=1)
            except RateLimited as error:
                desk.meters.limited(ADA, error)
    name = "rate_limit_violations_total"
    assert desk.value(name, limit="requests_per_minute", scope="user", tier="premium") == 1
    assert desk.value(name, limit="concurrent_requests", scope="key", tier="premium") == 2


def test_people_and_keys_are_counted_by_id_where_that_is_wished_for() -> None:
    desk = Desk(per_user=True, per_key=True, max_labels=2)
    for who in (
        ADA,
        ADA,
        BOB,
        *(Principal(user_id=f"u{n}", username="x", email="y", key_id=f"k{n}") for n in range(3)),
    ):
        desk.meters.admitted(who)
        desk.used(who)
    assert desk.value("user_requests_total", user="id-of-ada") == 2
    assert desk.value("user_tokens_total", user="id-of-bob", kind="prompt") == 3
    assert desk.value("user_requests_total", user="other") == 3
    assert desk.value("key_requests_total", key="session") == 1
    assert desk.value("key_tokens_total", key="other", kind="completion") == 6
    assert not [told for told in ("ada@", 'user="ada"', "example") if told in desk.text()]


def test_active_people_are_counted_by_when_they_were_here_last() -> None:
    clock = ManualClock()
    active = ActiveUsers(clock)
    for user, after_s in (("a", 0), ("b", 3000), ("a", 600), ("c", 0)):
        clock.advance(after_s)
        active.seen(user)
    assert active.counts() == {"5m": 2, "1h": 3, "24h": 3}
    clock.advance(3300)
    assert active.counts() == {"5m": 0, "1h": 2, "24h": 3}
    clock.advance(86_400 - 3300)
    assert active.counts() == {"5m": 0, "1h": 0, "24h": 2}
    clock.advance(1)
    assert active.counts() == {"5m": 0, "1h": 0, "24h": 0}
    assert not active._last


def test_of_too_many_people_the_latest_are_counted() -> None:
    active = ActiveUsers(ManualClock(), most=10)
    for n in range(1000):
        active.seen(f"u{n}")
    assert active.counts() == {"5m": 10, "1h": 10, "24h": 10}
