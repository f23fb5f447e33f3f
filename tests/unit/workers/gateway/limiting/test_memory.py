"""The limiter in memory: what it has kept over a restart, and when it has no room."""

from datetime import UTC, datetime

import pytest

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import Overloaded
from hyperinfer.protocol.limits.ledger import BUCKET_ENTRIES
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.limits import Kept, admitted, subject
from hyperinfer.workers.gateway.journal import TokenWindow
from hyperinfer.workers.gateway.limiting import Limiter, LimiterSettings, MemoryLimiter, limiting

NEW_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
WHO = [subject(tokens_per_minute=100, tokens_per_day=500, requests_per_minute=50)]


def limiter(clock: ManualClock, kept: Kept, *, max_logged: int = 10_000) -> MemoryLimiter:
    return MemoryLimiter(clock, max_logged=max_logged, keep=kept.keep, kept=kept.windows)


async def used(of: Limiter) -> dict[str, int]:
    return {row.name: row.used for row in (await of.look(WHO)).rows}


async def test_token_windows_outlive_the_gateway() -> None:
    clock, kept = ManualClock(), Kept()
    first = limiter(clock, kept)
    for _ in range(3):
        await first.settle(await first.admit(WHO, tokens=30), tokens=20)
    assert list(kept.windows) == [
        TokenWindow("user:u", "minute", NEW_YEAR, NEW_YEAR + 60, 60),
        TokenWindow("user:u", "day", NEW_YEAR, NEW_YEAR + DAY_S, 60),
    ]
    assert await used(limiter(clock, kept)) == {"requests_per_minute": 0, "tokens_per_minute": 60, "tokens_per_day": 60}
    clock.advance(60)
    second = limiter(clock, kept)
    assert await used(second) == {"requests_per_minute": 0, "tokens_per_minute": 0, "tokens_per_day": 60}
    await second.settle(await second.admit(WHO, tokens=30), tokens=1)
    assert kept.by_window["user:u", "day"].tokens == 61
    clock.advance(DAY_S)
    assert await used(limiter(clock, kept)) == {"requests_per_minute": 0, "tokens_per_minute": 0, "tokens_per_day": 0}


async def test_only_what_was_settled_is_kept_and_what_was_cut_is_charged() -> None:
    clock, kept = ManualClock(), Kept()
    killed = limiter(clock, kept)
    await killed.settle(await killed.admit(WHO, tokens=30), tokens=20)
    await killed.admit(WHO, tokens=30)
    after = limiter(clock, kept)
    after.charge("user:u", tokens=7, at=clock.now())
    after.charge("key:that has no limits", tokens=7, at=clock.now())
    assert await used(after) == {"requests_per_minute": 0, "tokens_per_minute": 27, "tokens_per_day": 27}
    assert kept.by_window["user:u", "day"].tokens == 27


async def test_a_request_that_limits_do_not_follow_is_not_written_down() -> None:
    kept = Kept()
    limits = limiter(ManualClock(), kept)
    for who in ([subject()], [subject(requests_per_minute=5, concurrent_requests=1)]):
        await limits.settle(await limits.admit(who, tokens=30), tokens=20)
    assert kept.windows == ()


async def test_a_clock_that_is_put_back_gives_nobody_a_second_window() -> None:
    clock = ManualClock()
    limits = limiter(clock, Kept())
    clock.advance(60)
    await limits.settle(await limits.admit(WHO, tokens=30), tokens=20)
    clock._start = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert (await used(limits))["tokens_per_minute"] == 20
    clock._start = datetime(2025, 12, 20, tzinfo=UTC)  # it had been wrong by far
    assert (await used(limits))["tokens_per_minute"] == 0


async def test_who_has_no_room_is_told_that_it_is_not_their_limit() -> None:
    clock = ManualClock()
    limits = limiter(clock, Kept(), max_logged=1000)
    generous = [subject(requests_per_minute=10_000)]
    assert len(await admitted(limits, generous, tries=1000 - BUCKET_ENTRIES)) == 1000 - BUCKET_ENTRIES
    with pytest.raises(Overloaded) as refused:
        await limits.admit(generous, tokens=0)
    assert refused.value.details["retry_after_s"] == 1
    clock.advance(60)
    assert len(await admitted(limits, [subject("user:v", requests_per_minute=5)], tries=9)) == 5


async def test_who_has_gone_makes_room() -> None:
    clock = ManualClock()
    limits = limiter(clock, Kept(), max_logged=1000)
    for n in range(1000):
        for admission in await admitted(limits, [subject(f"user:{n}", requests_per_minute=3)], tries=3):
            await limits.settle(admission, tokens=0)
        clock.advance(10)
    assert len(limits._ledger) <= 1000 / BUCKET_ENTRIES


async def test_without_a_redis_it_counts_in_memory_and_charges_what_was_cut() -> None:
    clock = ManualClock()
    cut = UsageRecord(
        id="0" * 36,
        user_id="u",
        api_key_id="k",
        started_at=clock.now(),
        status="error",
        model="m",
        prompt_tokens=30,
        completion_tokens=3,
    )
    async with limiting(LimiterSettings(), Kept(cut), clock, gateway="a", gateways=lambda: 1) as limits:
        assert isinstance(limits, MemoryLimiter)
        assert (await used(limits))["tokens_per_day"] == 33
        assert [row.used for row in (await limits.look([subject("key:k", tokens_per_month=40)])).rows] == [33]
        assert limits.degraded is None
