"""Alerts from the first bad look to the last word about them."""

import msgspec

from hyperinfer.protocol.alerts import (
    CALM_S,
    FLAPS,
    MAX_OPEN_EACH,
    MAX_SILENCES,
    Book,
    Case,
    Cases,
    Change,
    Key,
    Telling,
    Terms,
)

LOST: Key = ("worker_lost", (("worker", "gpu"),))
QUEUE: Key = ("queue", (("worker", "gpu"),))
NOW = 1_000_000.0
GAP_S = 60.0
HOLD_S, RESOLVE_S = 30.0, 20.0


def terms(rule: str) -> Terms:
    return Terms(HOLD_S, RESOLVE_S)


def at_once(rule: str) -> Terms:
    return Terms(0.0, 0.0)


def opened() -> Cases:
    return Cases(Book(), gap_s=GAP_S)


def look(cases: Cases, after_s: float, *bad: Key, value: float = 1.0) -> Change:
    return cases.look(NOW + after_s, dict.fromkeys(bad, value), terms=terms)


def firing() -> tuple[Cases, Case]:
    cases = opened()
    look(cases, -HOLD_S, LOST)
    [case] = look(cases, 0, LOST).began
    return cases, case


def tell(cases: Cases, after_s: float, *, group_s: float = 0.0, repeat_s: float = 3600.0) -> Telling:
    return cases.telling(NOW + after_s, group_s=group_s, repeat_s=repeat_s)


def test_pending_firing_resolved() -> None:
    cases = opened()
    assert not look(cases, 0, LOST)
    [case] = cases.open
    assert case.state == "pending"
    assert not look(cases, 29.9, LOST)
    assert look(cases, 30, LOST).began == (case,)
    assert case.state == "firing"
    assert not look(cases, 35, LOST)
    assert not look(cases, 40)
    assert not look(cases, 59.9)
    assert look(cases, 60).ended == (case,)
    assert (case.state, case.began_at, case.resolved_at) == ("resolved", NOW, NOW + 60)
    assert cases.past == (case,)
    assert not cases.open


def test_pending_is_forgotten_when_it_was_nothing() -> None:
    cases = opened()
    look(cases, 0, LOST)
    look(cases, 29)
    assert not cases.open
    assert not look(cases, 30, LOST)


def test_good_for_too_short_a_time_counts_for_nothing() -> None:
    cases, case = firing()
    look(cases, 5)
    look(cases, 24)
    look(cases, 25, LOST)
    assert not look(cases, 44)
    assert case.state == "firing"


def test_the_newest_value_is_kept() -> None:
    cases, case = firing()
    look(cases, 5, LOST, value=7.0)
    assert case.value == 7.0


def test_time_that_nobody_looked_at_counts_for_nothing() -> None:
    cases = opened()
    look(cases, 0, LOST)
    assert not look(cases, 0.1 + GAP_S, LOST)
    assert look(cases, 0.1 + GAP_S + HOLD_S, LOST).began


def test_nor_does_it_resolve_anything() -> None:
    cases, _ = firing()
    look(cases, 5)
    assert not look(cases, 500)
    assert look(cases, 500 + RESOLVE_S).ended


def test_a_clock_set_back_begins_every_hold_anew() -> None:
    cases = opened()
    look(cases, 0, LOST)
    look(cases, -3600, LOST)
    assert not look(cases, -3600 + 29, LOST)
    assert look(cases, -3600 + 30, LOST).began


def test_what_is_unknown_stays_as_it_is() -> None:
    cases, case = firing()
    for after_s in range(5, 600, 5):
        assert not cases.look(NOW + after_s, {}, terms=terms, is_unknown=lambda key: key == LOST)
    assert case.state == "firing"
    cases.look(NOW + 600, {}, terms=terms)
    assert cases.look(NOW + 620, {}, terms=terms).ended == (case,)


def test_what_comes_and_goes_has_to_stay_away_for_long() -> None:
    cases, at_s, ended = opened(), 0.0, 0
    while at_s < 3000:  # bad for one look, good for the next
        cases.look(NOW + at_s, {LOST: 1.0}, terms=at_once)
        ended += len(cases.look(NOW + at_s + 5, {}, terms=at_once).ended)
        at_s += 10
    assert ended == FLAPS - 1
    for after_s in range(0, int(CALM_S), 5):
        ended += len(cases.look(NOW + at_s + after_s, {}, terms=at_once).ended)
    assert ended == FLAPS
    assert not cases.open


# --- telling -------------------------------------------------------------------------------------------------


def test_what_begins_together_is_told_together() -> None:
    cases = opened()
    look(cases, -30, LOST)
    look(cases, 0, LOST)
    assert not tell(cases, 0, group_s=10)
    cases.look(NOW + 9, {LOST: 1.0, QUEUE: 1.0}, terms=at_once)
    assert not tell(cases, 9, group_s=10)
    assert {case.rule for case in tell(cases, 10, group_s=10).firing} == {"worker_lost", "queue"}
    assert not tell(cases, 11, group_s=10)


def test_what_is_over_before_it_is_told_is_told_never() -> None:
    cases, _ = firing()
    assert not tell(cases, 0, group_s=60)
    look(cases, 5)
    assert look(cases, 25).ended
    assert not tell(cases, 100, group_s=60)


def test_what_goes_on_is_told_again() -> None:
    cases, case = firing()
    assert tell(cases, 0).firing == (case,)
    assert not tell(cases, 3599)
    assert tell(cases, 3600).firing == (case,)
    assert not tell(cases, 3601)


def test_a_clock_set_back_tells_nothing_again() -> None:
    cases, case = firing()
    tell(cases, 0)
    assert not tell(cases, -7200)
    assert not tell(cases, -7200 + 3599)
    assert tell(cases, -7200 + 3600).firing == (case,)


def test_a_restart_tells_nothing_twice_and_forgets_no_end() -> None:
    cases, case = firing()
    tell(cases, 0)
    again = Cases(msgspec.json.decode(msgspec.json.encode(cases.book), type=Book), gap_s=GAP_S)
    look(again, 600, LOST)
    assert not tell(again, 600)
    look(again, 605)
    assert look(again, 625).ended
    assert [one.id for one in tell(again, 625).resolved] == [case.id]
    assert not tell(again, 630)


def test_a_silence_holds_for_the_next_case_of_the_same_thing() -> None:
    cases, case = firing()
    assert cases.silence(case.id, NOW + 3600, now=NOW) is case
    assert cases.silenced_until(case) == NOW + 3600
    assert not tell(cases, 0)
    look(cases, 5)
    look(cases, 25)
    look(cases, 30, LOST)
    look(cases, 60, LOST)
    assert not tell(cases, 60)
    for after_s in range(60, 3601, 60):
        look(cases, after_s, LOST)
    assert len(tell(cases, 3600).firing) == 1


def test_a_silence_can_be_ended() -> None:
    cases, case = firing()
    cases.silence(case.id, NOW + 3600, now=NOW)
    cases.silence(case.id, NOW, now=NOW)
    assert tell(cases, 0).firing == (case,)


def test_the_end_of_what_was_told_is_told_through_a_silence() -> None:
    cases, case = firing()
    tell(cases, 0)
    cases.silence(case.id, NOW + 3600, now=NOW)
    look(cases, 5)
    look(cases, 25)
    assert tell(cases, 25).resolved == (case,)


def test_there_is_no_such_case_to_silence() -> None:
    cases, _ = firing()
    assert cases.silence("elsewhere", NOW + 60, now=NOW) is None


def test_silences_are_bounded() -> None:
    silences = [("queue", {"worker": str(number)}, NOW + 60) for number in range(MAX_SILENCES + 5)]
    cases = Cases(Book(silences=silences), gap_s=GAP_S)
    look(cases, -HOLD_S, LOST)
    [case] = look(cases, 0, LOST).began
    assert len(cases.book.silences) == MAX_SILENCES
    assert cases.silence(case.id, NOW + 60, now=NOW) is None
    look(cases, 60, LOST)
    assert cases.book.silences == []


def test_one_worker_leaves_room_for_what_is_said_of_others() -> None:
    cases = opened()
    flood: list[Key] = [("breaker", (("peer", str(number)), ("worker", "broken"))) for number in range(300)]
    look(cases, 0, *flood)
    assert (len(cases.open), cases.turned_away) == (MAX_OPEN_EACH, 300 - MAX_OPEN_EACH)
    look(cases, 5, *flood, LOST)
    assert cases.open[-1].key == LOST
