"""The throttle: however tries come, few of those that fail are let in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol.throttle import Policy, Throttle

POLICY = Policy(free=3, first_s=2.0, longest_s=32.0, forget_s=1000.0)


@given(st.lists(st.integers(0, 100), max_size=200))
def test_each_wait_is_kept_whole(gaps: list[int]) -> None:
    throttle, now, admitted = Throttle(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait_s = throttle.admit({"a": POLICY}, now)
        assert 0 <= wait_s <= POLICY.longest_s
        if wait_s == 0:
            admitted.append(now)
    for number, (before, after) in enumerate(pairwise(admitted), start=1):
        assert after - before >= POLICY.wait_s(number)


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=200))
def test_a_try_that_was_taken_back_leaves_no_trace(tries: list[tuple[float, bool]]) -> None:
    throttle, plain, now = Throttle(), Throttle(), 0.0
    for gap, undone in tries:
        now += gap
        wait_s = throttle.admit({"a": POLICY}, now)
        if undone:
            if wait_s == 0:
                throttle.undo({"a": POLICY})
        else:
            plain_wait_s = plain.admit({"a": POLICY}, now)
            # What was taken back may have ended a wait that had passed, and never makes one.
            assert wait_s <= plain_wait_s + 1e-6
            assert (wait_s == 0) == (plain_wait_s == 0)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=100), st.integers(1, 5))
def test_the_number_of_subjects_is_bounded(names: list[str], most: int) -> None:
    throttle = Throttle(max_subjects=most)
    for now, name in enumerate(names):
        throttle.admit({name: POLICY, f"{name}!": POLICY}, float(now))
        assert len(throttle) <= most


@given(st.lists(st.sampled_from("abc"), max_size=100))
def test_who_waits_for_one_subject_is_not_counted_for_the_others(names: list[str]) -> None:
    throttle = Throttle()
    while throttle.admit({"full": POLICY}, 0.0) == 0:
        pass
    for name in names:
        assert throttle.admit({"full": POLICY, name: POLICY}, 0.0) > 0
    for name in set(names):
        for _ in range(POLICY.free):
            assert throttle.admit({name: POLICY}, 0.0) == 0


def test_the_right_one_forgets_what_failed_there_and_nowhere_else() -> None:
    throttle, subjects = Throttle(), {"here": POLICY, "all": POLICY}
    for _ in range(2):
        throttle.admit(subjects, 0.0)
    throttle.admit(subjects, 0.0)
    throttle.succeeded(subjects, proven="here")
    assert throttle.admit({"here": POLICY}, 0.0) == 0
    assert throttle.admit({"here": POLICY}, 0.0) == 0
    assert throttle.admit({"all": POLICY}, 0.0) == 0  # its third failure
    assert throttle.admit({"all": POLICY}, 0.0) == POLICY.first_s
