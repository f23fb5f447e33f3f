"""What holds for every limiter, in memory or in Redis."""

from datetime import UTC, datetime

import pytest

from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.usage import QuotaRow
from hyperinfer.errors import RateLimited
from hyperinfer.testing.limits import Hands, admitted, subject
from hyperinfer.workers.gateway.limiting import Limiter

DAY_S = 86_400


class TestRequests:
    async def test_a_window_slides(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(requests_per_minute=3)]
        assert len(await admitted(limiter, who, tries=2)) == 2
        hands.advance(50)
        assert len(await admitted(limiter, who, tries=5)) == 1
        hands.advance(9.9)
        assert len(await admitted(limiter, who, tries=5)) == 0
        hands.advance(0.1)
        assert len(await admitted(limiter, who, tries=5)) == 2
        hands.advance(50)
        assert len(await admitted(limiter, who, tries=5)) == 1

    async def test_who_comes_back_when_told_is_let_in(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(requests_per_minute=2, requests_per_hour=5, requests_per_interval=6, interval_minutes=90)]
        for _ in range(12):
            while all(row.remaining for row in (await limiter.look(who)).rows):
                await limiter.admit(who, tokens=0)
                hands.advance(7)
            with pytest.raises(RateLimited) as refused:
                await limiter.admit(who, tokens=0)
            hands.advance(refused.value.details["retry_after_s"] - 0.01)
            with pytest.raises(RateLimited):
                await limiter.admit(who, tokens=0)
            hands.advance(0.01)
            await limiter.admit(who, tokens=0)

    async def test_of_an_interval_that_is_an_hour_the_lower_limit_holds(self, limiter: Limiter) -> None:
        for who in (
            [subject("user:one", requests_per_hour=5, requests_per_interval=3)],
            [subject("user:other", requests_per_hour=5, requests_per_interval=3, interval_minutes=60)],
        ):
            assert len(await admitted(limiter, who, tries=9)) == 3
            with pytest.raises(RateLimited, match=r"your 3 requests in 60 minutes\."):
                await limiter.admit(who, tokens=0)

    async def test_what_is_refused_counts_nowhere(self, limiter: Limiter, hands: Hands) -> None:
        user, key = subject(requests_per_minute=3, tokens_per_day=50), subject("key:k", requests_per_minute=1)
        (first,) = await admitted(limiter, [user, key], tokens=10, tries=5)
        await limiter.settle(first, tokens=10)
        with pytest.raises(RateLimited, match=r"This API key has used its 1 request a minute\. Try again in 60 s\."):
            await limiter.admit([user, key], tokens=10)
        for admission in await admitted(limiter, [user], tokens=20, tries=5):
            await limiter.settle(admission, tokens=20)
        hands.advance(60)
        with pytest.raises(RateLimited, match="your 50 tokens a day"):
            await limiter.admit([user, key], tokens=10)
        assert len(await admitted(limiter, [key], tries=2)) == 1

    async def test_no_limit_is_no_limit(self, limiter: Limiter) -> None:
        who = [subject(), subject("key:k")]
        passed = await admitted(limiter, who, tokens=10**9, tries=50)
        assert len(passed) == 50
        assert passed[-1].standing.told is None
        assert (await limiter.look(who)).rows == ()

    @pytest.mark.parametrize("field", ["requests_per_minute", "tokens_per_month", "concurrent_requests"])
    async def test_a_limit_of_none_admits_nobody(self, limiter: Limiter, field: str) -> None:
        with pytest.raises(RateLimited, match="You may use no more than 0 ") as refused:
            await limiter.admit([subject("user:u", **{field: 0})], tokens=0)
        assert refused.value.details["retry_after_s"] > 0

    async def test_what_was_counted_counts_under_other_limits(self, limiter: Limiter, hands: Hands) -> None:
        for _ in range(5):
            await limiter.admit([subject(requests_per_minute=5, tokens_per_day=100)], tokens=10)
            hands.advance(1)
        with pytest.raises(RateLimited, match="your 2 requests a minute") as refused:
            await limiter.admit([subject(requests_per_minute=2)], tokens=0)
        assert refused.value.details["retry_after_s"] == 58  # as the fourth of five leaves
        hands.advance(58)
        assert len(await admitted(limiter, [subject(requests_per_minute=2)], tries=5)) == 1
        assert len(await admitted(limiter, [subject(requests_per_hour=2)], tries=5)) == 2

    async def test_above_ten_thousand_a_window_counts_in_grains_of_it(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(requests_per_minute=20_000)]
        await admitted(limiter, who, tries=5)
        hands.advance(0.005)
        (last,) = await admitted(limiter, who, tries=1)
        assert last.standing.told == RateLimitInfo(19_994, 20_000, 61, 1)
        hands.advance(60)
        (last,) = await admitted(limiter, who, tries=1)
        assert last.standing.told == RateLimitInfo(19_993, 20_000, 1, 1)
        hands.advance(0.001)
        assert (await limiter.look(who)).told == RateLimitInfo(19_999, 20_000, 61, 1)


class TestTokens:
    async def test_what_was_not_used_is_given_back(self, limiter: Limiter) -> None:
        who = [subject(tokens_per_minute=1000)]
        for _ in range(10):
            await limiter.settle(await limiter.admit(who, tokens=300), tokens=100)
        with pytest.raises(RateLimited, match="You have used your 1000 tokens a minute"):
            await limiter.admit(who, tokens=1)

    async def test_what_was_used_beyond_the_estimate_counts(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(tokens_per_minute=1000)]
        await limiter.settle(await limiter.admit(who, tokens=10), tokens=1500)
        with pytest.raises(RateLimited) as refused:
            await limiter.admit(who, tokens=1)
        assert refused.value.details["retry_after_s"] == 60
        hands.advance(60)
        await limiter.admit(who, tokens=1)

    async def test_settling_again_changes_nothing(self, limiter: Limiter) -> None:
        who = [subject(tokens_per_minute=1000, concurrent_requests=2)]
        one, _ = await admitted(limiter, who, tokens=300, tries=2)
        for _ in range(3):
            await limiter.settle(one, tokens=100)
        assert [(row.used, row.remaining) for row in (await limiter.look(who)).rows] == [(400, 600), (1, 1)]

    async def test_an_estimate_keeps_no_lone_request_from_the_end_of_a_budget(self, limiter: Limiter) -> None:
        who = [subject(tokens_per_day=100)]
        await limiter.settle(await limiter.admit(who, tokens=90), tokens=90)
        lone = await limiter.admit(who, tokens=50)
        with pytest.raises(RateLimited, match=r"Requests under way may use.*your 100 tokens a day.*in 1 s") as refused:
            await limiter.admit(who, tokens=1)
        assert refused.value.details["retry_after_s"] == 1
        await limiter.settle(lone, tokens=9)
        await limiter.settle(await limiter.admit(who, tokens=50), tokens=1)
        with pytest.raises(RateLimited, match="You have used your 100 tokens a day") as refused:
            await limiter.admit(who, tokens=0)
        assert refused.value.details["retry_after_s"] == DAY_S

    async def test_a_reservation_is_settled_in_the_window_where_it_was_made(
        self, limiter: Limiter, hands: Hands
    ) -> None:
        who = [subject(tokens_per_minute=100, tokens_per_day=1000)]
        hands.advance(59)
        late = await limiter.admit(who, tokens=80)
        hands.advance(1)
        other = await limiter.admit(who, tokens=70)
        await limiter.settle(late, tokens=95)
        assert [row.used for row in (await limiter.look(who)).rows] == [70, 165]
        await limiter.settle(other, tokens=20)
        assert [row.used for row in (await limiter.look(who)).rows] == [20, 115]

    async def test_windows_are_those_of_utc(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(tokens_per_minute=10, tokens_per_day=20, tokens_per_month=30)]
        hands.advance(31 * DAY_S + 27 * DAY_S + 86_390)  # the last ten seconds of February 2026
        await limiter.settle(await limiter.admit(who, tokens=10), tokens=10)
        assert [row.resets_in_s for row in (await limiter.look(who)).rows] == [10, 10, 10]
        hands.advance(10)
        assert [row.resets_in_s for row in (await limiter.look(who)).rows] == [60, DAY_S, 31 * DAY_S]
        assert [row.remaining for row in (await limiter.look(who)).rows] == [10, 20, 30]


class TestPlaces:
    async def test_only_so_many_requests_are_under_way(self, limiter: Limiter) -> None:
        who = [subject(concurrent_requests=2)]
        first, _ = await admitted(limiter, who, tries=5)
        with pytest.raises(RateLimited, match="most requests under way, 2 requests at a time") as refused:
            await limiter.admit(who, tokens=0)
        assert refused.value.details["limit"] == "2 requests at a time"
        await limiter.settle(first, tokens=0)
        assert len(await admitted(limiter, who, tries=5)) == 1

    async def test_a_key_takes_places_of_its_own_and_of_its_user(self, limiter: Limiter) -> None:
        user, key = subject(concurrent_requests=3), subject("key:k", concurrent_requests=2)
        assert len(await admitted(limiter, [user, key], tries=5)) == 2
        assert len(await admitted(limiter, [user], tries=5)) == 1


class TestStanding:
    async def test_the_limits_nearest_to_their_end_are_told(self, limiter: Limiter, hands: Hands) -> None:
        user = subject(requests_per_minute=5, requests_per_hour=6, tokens_per_day=900)
        key = subject("key:k", requests_per_minute=3, tokens_per_minute=1000)
        admission = await limiter.admit([user, key], tokens=300)
        assert admission.standing.told == RateLimitInfo(2, 3, 60, 1, 600, 900, DAY_S)
        await limiter.settle(admission, tokens=0)
        hands.advance(30)
        assert (await limiter.look([user, key])).told == RateLimitInfo(2, 3, 30, 1, 900, 900, DAY_S - 30)
        assert (await limiter.look([user])).told == RateLimitInfo(4, 5, 30, 1, 900, 900, DAY_S - 30)

    async def test_a_refusal_tells_all_that_clients_are_told(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(requests_per_minute=1, tokens_per_minute=100)]
        await limiter.settle(await limiter.admit(who, tokens=30), tokens=20)
        hands.advance(10)
        with pytest.raises(RateLimited) as refused:
            await limiter.admit(who, tokens=30)
        assert refused.value.details == {
            "retry_after_s": 50,
            "limit": "1 request a minute",
            "rule": "requests_per_minute",
            "scope": "user",
            "remaining_requests": 0,
            "max_requests": 1,
            "next_reset_in_seconds": 50,
            "window_duration_minutes": 1,
            "remaining_tokens": 80,
            "max_tokens": 100,
            "tokens_reset_in_seconds": 50,
        }

    async def test_every_limit_is_shown_and_looking_counts_nothing(self, limiter: Limiter, hands: Hands) -> None:
        who = [
            subject(requests_per_minute=5, tokens_per_month=900, concurrent_requests=4),
            subject("key:k", tokens_per_day=7),
        ]
        await limiter.admit(who, tokens=5)
        hands.advance(1)
        await limiter.look(who)
        assert (await limiter.look(who)).quota(hands.now()) == (
            QuotaRow("user", "requests_per_minute", 5, 1, 4, "2026-01-01T00:01:00Z"),
            QuotaRow("user", "tokens_per_month", 900, 5, 895, "2026-02-01T00:00:00Z"),
            QuotaRow("user", "concurrent_requests", 4, 1, 3, None),
            QuotaRow("key", "tokens_per_day", 7, 5, 2, "2026-01-02T00:00:00Z"),
        )

    async def test_what_a_cut_request_used_is_charged_where_it_was_used(self, limiter: Limiter, hands: Hands) -> None:
        who = [subject(tokens_per_minute=100, tokens_per_day=1000)]
        hands.advance(90)
        limiter.charge("user:u", tokens=40, at=datetime(2026, 1, 1, 0, 0, 50, tzinfo=UTC))
        limiter.charge("user:u", tokens=2, at=datetime(2026, 1, 1, 0, 1, 20, tzinfo=UTC))
        limiter.charge("user:u", tokens=500, at=datetime(2025, 12, 31, 23, tzinfo=UTC))
        if hasattr(limiter, "step"):
            await limiter.step()
        assert [row.used for row in (await limiter.look(who)).rows] == [2, 42]
