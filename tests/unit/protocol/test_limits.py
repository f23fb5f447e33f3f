"""How a key stands to its limits, told in numbers."""

from hyperinfer.protocol.limits import SlidingLog, Window, WindowStanding

MINUTE, HOUR = Window(2, 60.0), Window(3, 3600.0)


def test_nothing_is_limited_or_kept_without_windows() -> None:
    log = SlidingLog()
    assert log.admit("a", [], 0.0) == (True, None)
    assert log.look("a", [], 0.0) is None
    assert len(log) == 0


def test_the_limit_nearest_to_its_end_is_told() -> None:
    log = SlidingLog()
    both = [MINUTE, HOUR]
    assert log.look("a", both, 0.0) == WindowStanding(MINUTE, 2, 0.0, 0.0)
    assert log.admit("a", both, 0.0) == (True, WindowStanding(MINUTE, 1, 60.0, 0.0))
    assert log.admit("a", both, 10.0) == (True, WindowStanding(MINUTE, 0, 50.0, 50.0))
    assert log.admit("a", both, 59.0) == (False, WindowStanding(MINUTE, 0, 1.0, 1.0))
    assert log.admit("a", both, 60.0) == (True, WindowStanding(HOUR, 0, 3540.0, 3540.0))
    assert log.admit("a", both, 3599.0) == (False, WindowStanding(HOUR, 0, 1.0, 1.0))
    assert log.admit("a", both, 3600.0)[0]


def test_keys_do_not_share_a_limit() -> None:
    log = SlidingLog()
    assert log.admit("a", [Window(1, 60.0)], 0.0)[0]
    assert not log.admit("a", [Window(1, 60.0)], 0.0)[0]
    assert log.admit("b", [Window(1, 60.0)], 0.0)[0]


def test_a_limit_of_none_admits_nobody() -> None:
    ok, standing = SlidingLog().admit("a", [Window(0, 60.0)], 0.0)
    assert not ok
    assert standing == WindowStanding(Window(0, 60.0), 0, 0.0, 60.0)


def test_rounding_never_refuses_without_a_time_to_wait() -> None:
    log = SlidingLog()
    window = [Window(1, 0.1)]
    now = 1e9 + 0.3
    log.admit("a", window, now)
    for step in range(1, 1000):
        later = now + step * 2e-7
        ok, standing = log.admit("a", window, later)
        assert standing is not None
        assert ok or standing.retry_after_s > 0
        if ok:
            return


def test_a_key_whose_limits_change_keeps_no_log_of_the_old_ones() -> None:
    log = SlidingLog()
    log.admit("a", [MINUTE, HOUR], 0.0)
    assert len(log) == 2
    assert log.admit("a", [MINUTE], 1.0) == (True, WindowStanding(MINUTE, 0, 59.0, 59.0))
    assert len(log) == 2
    assert log.admit("a", [HOUR], 2.0)[0]
    assert len(log) == 1
