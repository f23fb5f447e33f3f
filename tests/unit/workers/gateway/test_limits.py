"""The tiers' limits, as users are told of them."""

import pytest

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.errors import RateLimited
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.config import LimitSettings
from hyperinfer.workers.gateway.limits import RequestLimits, StrangerLimits


def person(tier: str, user_id: str = "u") -> Principal:
    return Principal(user_id=user_id, username="u", email="u@example.com", tier=tier)


def admitted(limits: RequestLimits, who: Principal, tries: int) -> int:
    passed = 0
    for _ in range(tries):
        try:
            limits.admit(who)
        except RateLimited:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize("tier", ["default", "a tier of tomorrow"])
def test_default_is_ten_a_minute_and_a_hundred_an_hour(tier: str) -> None:
    clock = ManualClock()
    limits = RequestLimits(LimitSettings(), clock)
    total = 0
    for minute in range(15):
        passed = admitted(limits, person(tier), 30)
        assert passed == (10 if minute < 10 else 0)
        total += passed
        clock.advance(60)
    assert total == 100


def test_premium_is_a_thousand_an_hour_at_any_pace() -> None:
    assert admitted(RequestLimits(LimitSettings(), ManualClock()), person("premium"), 1500) == 1000


def test_unlimited_is_not_limited() -> None:
    limits = RequestLimits(LimitSettings(), ManualClock())
    assert limits.admit(person("unlimited")) is None
    assert admitted(limits, person("unlimited"), 5000) == 5000
    assert limits.look(person("unlimited")) == RateLimitInfo(None, None, 0, 0)


def test_a_limit_can_be_taken_away() -> None:
    settings = LimitSettings(default_per_minute=None, default_per_hour=None)
    assert admitted(RequestLimits(settings, ManualClock()), person("default"), 500) == 500


def test_a_refusal_says_what_the_limit_is_and_when_to_come_again() -> None:
    clock = ManualClock()
    limits = RequestLimits(LimitSettings(default_per_minute=2), clock)
    limits.admit(person("default"))
    clock.advance(10)
    assert limits.admit(person("default")) == RateLimitInfo(0, 2, 50, 1)
    with pytest.raises(RateLimited, match=r"2 requests a minute.*50 s") as refused:
        limits.admit(person("default"))
    assert refused.value.details["retry_after_s"] == 50
    assert limits.look(person("default")) == RateLimitInfo(0, 2, 50, 1)
    clock.advance(50)
    limits.admit(person("default"))


def test_strangers_are_limited_each_and_all_together() -> None:
    clock = ManualClock()
    limits = StrangerLimits(clock, per_host=2, total=5)
    for host in ("a", "a", "b", "b", "c"):
        limits.admit(host)
    for host in ("a", "c", "d"):
        with pytest.raises(RateLimited):
            limits.admit(host)
    clock.advance(60)
    limits.admit("a")
