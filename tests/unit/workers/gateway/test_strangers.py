"""How often strangers may try."""

import pytest

from hyperinfer.errors import RateLimited
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.strangers import StrangerLimits


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
