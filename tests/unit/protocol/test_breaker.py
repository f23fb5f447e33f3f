"""The breaker: opens after failures in a row, probes with one request, and closes on an answer."""

from hyperinfer.protocol.breaker import FAILURES, LONGEST_PAUSE_S, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert breaker.allows(0.0)
        breaker.succeeded()
    assert not opened().allows(0.5)


def test_one_probe_is_let_through_and_decides() -> None:
    breaker = opened()
    assert breaker.opens_in_s(0.0) == 1.0
    assert breaker.allows(1.0)
    breaker.began(1.0)
    assert not breaker.allows(1.0)
    breaker.succeeded()
    assert breaker.allows(1.0)
    assert breaker.opens_in_s(1.0) == 0.0


def test_each_failed_probe_doubles_the_pause_up_to_a_bound() -> None:
    breaker = opened()
    now, pauses = 0.0, []
    for _ in range(8):
        pause = breaker.opens_in_s(now)
        pauses.append(pause)
        now += pause
        breaker.began(now)
        breaker.failed(now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_probe_that_tells_nothing_is_given_back_or_lost_in_time() -> None:
    breaker = opened()
    breaker.began(1.0)
    breaker.released()
    assert breaker.allows(1.0)
    breaker.began(1.0)
    assert not breaker.allows(1.0 + LONGEST_PAUSE_S - 0.1)
    assert breaker.allows(1.0 + LONGEST_PAUSE_S)


def test_of_many_that_fail_together_only_the_first_ones_count() -> None:
    breaker = opened()
    for _ in range(50):
        breaker.failed(0.1)
    assert breaker.opens_in_s(0.0) == 1.0
    breaker.began(1.0)
    for _ in range(50):
        breaker.failed(1.1)
    assert breaker.opens_in_s(1.1) == 2.0
