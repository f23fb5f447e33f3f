"""The ledger against a naive model that remembers every request and counts them anew each time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.errors import Overloaded, RateLimited
from hyperinfer.protocol.limits import KINDS, Hold, Ledger, Log, Window, span_of

START_S = datetime(2024, 2, 28, 23, 50, tzinfo=UTC).timestamp()

small = st.none() | st.integers(0, 5)
tokens = st.none() | st.integers(0, 60)
limits = st.builds(
    Limits,
    requests_per_minute=small,
    requests_per_hour=small,
    requests_per_interval=small,
    interval_minutes=st.none() | st.sampled_from([1, 7, 60]),
    tokens_per_minute=tokens,
    tokens_per_day=tokens,
    tokens_per_month=tokens,
    concurrent_requests=small,
)
waits = st.sampled_from([0, 0, 1, 29.5, 30, 60, 400, 3600, 86_400])
steps = st.lists(
    st.tuples(waits, st.sampled_from(["u", "k", "uk"]), st.integers(0, 30))
    | st.tuples(waits, st.integers(0, 5), st.integers(0, 40)),
    max_size=60,
)


@dataclass
class Request:
    """A request that was let in, and what it has used once it has ended."""

    at_s: float
    names: str
    held: int
    hold: Hold
    used: int | None = None


@dataclass
class Naive:
    """Counts by looking at all requests there ever were."""

    limits: dict[str, Limits]
    requests: list[Request] = field(default_factory=list)

    def fits(self, name: str, wanted: int, now: float) -> bool:
        limits, mine = self.limits[name], [one for one in self.requests if name in one.names]
        for most, length_s in (
            (limits.requests_per_minute, 60),
            (limits.requests_per_hour, 3600),
            (limits.requests_per_interval, (limits.interval_minutes or 60) * 60),
        ):
            if most is not None and sum(now - one.at_s < length_s for one in mine) >= most:
                return False
        for kind in KINDS:
            most = getattr(limits, f"tokens_per_{kind}")
            current = [one for one in mine if one.at_s >= span_of(kind, now).start]
            held = sum(one.held for one in current if one.used is None)
            used = sum(one.used or 0 for one in current)
            if most is not None and (most <= held + used or (held and most < held + used + wanted)):
                return False
        most = limits.concurrent_requests
        return most is None or sum(one.used is None for one in mine) < most


@given(limits, limits, steps)
def test_exactly_those_are_let_in_that_fit_everywhere(
    user: Limits, key: Limits, steps: list[tuple[float, str | int, int]]
) -> None:
    naive = Naive({"u": user, "k": key})
    subjects = {name: Subject(id=name, limits=one) for name, one in naive.limits.items()}
    ledger = Ledger(max_entries=10**6)
    now = START_S
    for wait_s, what, count in steps:
        now += wait_s
        if isinstance(what, int):
            under_way = [one for one in naive.requests if one.used is None]
            if under_way:
                request = under_way[what % len(under_way)]
                ledger.settle(request.hold, tokens=count)
                request.used = count
            continue
        try:
            hold = ledger.admit([subjects[name] for name in what], tokens=count, now=now, at_s=now)
        except RateLimited:
            assert not all(naive.fits(name, count, now) for name in what)
        else:
            assert all(naive.fits(name, count, now) for name in what)
            naive.requests.append(Request(now, what, count, hold))


@given(limits, st.lists(st.tuples(waits, st.integers(1, 30)), max_size=40))
def test_who_comes_back_when_told_is_let_in(mine: Limits, steps: list[tuple[float, int]]) -> None:
    who = [Subject(id="u", limits=mine)]
    ledger = Ledger(max_entries=10**6)
    now = START_S
    for wait_s, count in steps:
        now += wait_s
        try:
            ledger.settle(ledger.admit(who, tokens=count, now=now, at_s=now), tokens=count)
        except RateLimited as refused:
            if all(row.limit for row in ledger.standing(who, now=now, at_s=now).rows):
                now += refused.details["retry_after_s"]
                ledger.settle(ledger.admit(who, tokens=count, now=now, at_s=now), tokens=count)


@given(st.integers(200, 400), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=80))
def test_what_is_remembered_is_bounded(bound: int, steps: list[tuple[int, int]]) -> None:
    ledger = Ledger(max_entries=bound)
    generous = Limits(requests_per_minute=1000, tokens_per_minute=1000)
    now = START_S
    for wait_s, name in steps:
        now += wait_s
        try:
            ledger.settle(ledger.admit([Subject(id=f"{name}", limits=generous)], tokens=1, now=now, at_s=now), tokens=1)
        except Overloaded:
            assert len(ledger) > 1
        assert ledger.entries == sum(bucket.entries for bucket in ledger) <= bound
    now += 120
    ledger.admit([Subject(id="new", limits=generous)], tokens=1, now=now, at_s=now)


@given(st.integers(10_001, 10**6), st.lists(st.integers(0, 3000), max_size=300), st.integers(1, 400))
def test_a_grain_is_all_that_a_large_window_errs_by(most: int, waits_us: list[int], limit: int) -> None:
    log = Log(Window(most, 1.0))
    now = 0.0
    times: list[float] = []
    for wait_us in waits_us:
        now += wait_us / 1e6
        log.forget(now)
        exact = sum(now - one < 1.0 for one in times)
        late = sum(now - one < 1.0001 + 1e-9 for one in times)
        assert exact <= log.count <= late
        assert len(log) <= 10_002
        if log.count >= limit:
            frees_in_s = log.frees_in_s(limit, now)
            later = log.copy()
            later.forget(now + frees_in_s + 1e-9)
            assert later.count < limit
        log.add(now)
        times.append(now)


def test_a_log_takes_as_much_memory_as_counts() -> None:
    log = Log(Window(100, 1.0))
    for n in range(10_000):
        log.forget(n / 50)
        log.add(n / 50)
    assert len(log) == 50
    assert len(log._times) <= 102
    assert [count for _, count in log] == [1] * 50


@pytest.mark.parametrize("kind", KINDS)
@given(at_s=st.integers(0, 4_102_444_800))
def test_windows_follow_each_other(kind: str, at_s: int) -> None:
    span = next(span_of(one, at_s) for one in KINDS if one == kind)
    assert span.start <= at_s < span.until
    following = next(span_of(one, span.until) for one in KINDS if one == kind)
    assert following.start == span.until
