"""Alerts over any history: nothing fires before its time, nothing is told twice, and everything that was told is told to be over."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol.alerts import MAX_OPEN, Book, Case, Cases, Key, Terms

STEP_S = 5.0
GAP_S = 60.0
KEYS: tuple[Key, ...] = (("a", ()), ("a", (("worker", "x"),)), ("b", (("worker", "x"),)), ("b", (("worker", "y"),)))
TERMS = {"a": Terms(hold_s=15.0, resolve_s=10.0), "b": Terms(hold_s=0.0, resolve_s=0.0)}

looks = st.lists(st.frozensets(st.sampled_from(KEYS)), max_size=80)
steps = st.sampled_from((STEP_S, STEP_S, STEP_S, 0.0, GAP_S, 3 * GAP_S, -600.0))


class Watch:
    """Cases, and what a person would know who is told of them."""

    def __init__(self, *, group_s: float = 0.0, repeat_s: float = 1e9) -> None:
        self.cases = Cases(Book(), gap_s=GAP_S)
        self.now = 1_000_000.0
        self.begun: list[Case] = []
        self.ended: list[Case] = []
        self.told: list[str] = []
        self.over: list[str] = []
        self._group_s, self._repeat_s = group_s, repeat_s

    def look(self, bad: frozenset[Key], unknown: frozenset[Key] = frozenset()) -> None:
        change = self.cases.look(
            self.now, dict.fromkeys(sorted(bad), 1.0), terms=TERMS.__getitem__, is_unknown=unknown.__contains__
        )
        self.begun += change.began
        self.ended += change.ended
        telling = self.cases.telling(self.now, group_s=self._group_s, repeat_s=self._repeat_s)
        self.told += [case.id for case in telling.firing]
        self.over += [case.id for case in telling.resolved]

    def restart(self) -> None:
        kept = msgspec.json.decode(msgspec.json.encode(self.cases.book), type=Book)
        self.cases = Cases(kept, gap_s=GAP_S)


@given(looks)
def test_what_fires_has_been_bad_for_its_whole_hold(history: list[frozenset[Key]]) -> None:
    watch, bad_since = Watch(), dict[Key, float]()
    for bad in history:
        bad_since = {key: bad_since.get(key, watch.now) for key in bad}
        before = len(watch.begun)
        watch.look(bad)
        for case in watch.begun[before:]:
            assert watch.now - bad_since[case.key] >= TERMS[case.rule].hold_s
        for key, since in bad_since.items():
            if watch.now - since >= TERMS[key[0]].hold_s:
                assert key in {case.key for case in watch.cases.open if case.state == "firing"}
        watch.now += STEP_S


@given(
    st.lists(st.tuples(st.frozensets(st.sampled_from(KEYS)), st.sampled_from(KEYS), steps, st.booleans())),
    st.floats(0, 20),
)
def test_each_case_is_told_once_and_its_end_once(
    history: list[tuple[frozenset[Key], Key, float, bool]], group_s: float
) -> None:
    watch = Watch(group_s=group_s)
    for bad, unknown, step_s, restarts in history:
        watch.look(bad, frozenset({unknown}))
        if restarts:
            watch.restart()
        watch.now += step_s
    for _ in range(400):  # well again: half an hour is longer than any calm that is asked for
        watch.look(frozenset())
        watch.now += STEP_S
    assert not watch.cases.open
    assert len(set(watch.told)) == len(watch.told)
    assert sorted(watch.over) == sorted(watch.told)
    assert {case.id for case in watch.begun} == {case.id for case in watch.ended}
    assert set(watch.told) <= {case.id for case in watch.begun}


@given(looks, st.integers(0, 79))
def test_a_restart_changes_nothing(history: list[frozenset[Key]], at: int) -> None:
    one, other = Watch(), Watch()
    for number, bad in enumerate(history):
        for watch in (one, other):
            watch.look(bad)
            watch.now += STEP_S
        if number == at:
            other.restart()
    assert (other.told, other.over) == (one.told, one.over)


@given(st.integers(1, 3 * MAX_OPEN))
def test_cases_are_bounded(count: int) -> None:
    cases = Cases(Book(), gap_s=GAP_S)
    bad: dict[Key, float] = {("b", (("worker", str(number)),)): 1.0 for number in range(count)}
    cases.look(0.0, {**bad, ("a", ()): 1.0}, terms=TERMS.__getitem__)
    assert len(cases.open) == min(count, MAX_OPEN) + 1
    assert cases.turned_away == max(0, count - MAX_OPEN)
    for number in range(5):
        cases.look(5.0 * number, {}, terms=TERMS.__getitem__)
    assert len(cases.past) <= MAX_OPEN
