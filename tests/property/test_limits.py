"""The sliding window: whatever the order of requests, no window ever holds more than its limit."""

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol.limits import SlidingLog, Window

WINDOWS = st.lists(
    st.builds(Window, requests=st.integers(0, 6), length_s=st.integers(1, 40).map(float)), min_size=1, max_size=3
)
STEPS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=120)


@given(WINDOWS, STEPS)
def test_no_window_ever_holds_more_than_its_limit(windows: list[Window], steps: list[tuple[int, str]]) -> None:
    log = SlidingLog()
    now = 0.0
    admitted: dict[str, list[float]] = {key: [] for key in "abc"}
    for step, key in steps:
        now += step
        if log.admit(key, windows, now)[0]:
            admitted[key].append(now)
    for times in admitted.values():
        for window in windows:
            for end in times:
                assert sum(end - window.length_s < time <= end for time in times) <= window.requests


@given(WINDOWS, STEPS)
def test_a_refusal_says_exactly_when_the_next_request_fits(windows: list[Window], steps: list[tuple[int, str]]) -> None:
    log = SlidingLog()
    now = 0.0
    for step, key in steps:
        now += step
        ok, standing = log.admit(key, windows, now)
        assert standing is not None
        if not ok and all(window.requests for window in windows):
            just_before = log.look(key, windows, now + standing.retry_after_s - 0.5)
            then = log.look(key, windows, now + standing.retry_after_s)
            assert just_before is not None
            assert just_before.retry_after_s > 0
            assert then is not None
            assert then.retry_after_s == 0
            now += standing.retry_after_s


@given(STEPS, st.integers(1, 8))
def test_the_log_is_bounded_and_refuses_what_it_cannot_hold(steps: list[tuple[int, str]], bound: int) -> None:
    log = SlidingLog(max_entries=bound)
    now = 0.0
    for step, key in steps:
        now += step
        log.admit(key, [Window(100, 20.0)], now)
        assert len(log) <= bound
    assert log.admit("new", [Window(1, 20.0)], now + 21)[0]
    assert len(log) == 1
