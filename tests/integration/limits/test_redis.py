"""Several gateways over one Redis: what they count together, and what they do when it is away, for which it really is."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
import redis

from hyperinfer.contracts.limits import Subject
from hyperinfer.errors import RateLimited, StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.limits import Hands, Kept, admitted, shared_limiter, subject
from hyperinfer.testing.servers import RedisServer
from hyperinfer.workers.gateway.limiting import Limiter, LimiterSettings, limiting

AT_ONCE_S = 0.2


async def used(limiter: Limiter, who: list[Subject]) -> list[int]:
    return [row.used for row in (await limiter.look(who)).rows]


def is_away(limiter: Limiter) -> bool:
    return limiter.degraded is not None


class TestTogether:
    async def test_gateways_count_together(self, redis_url: str) -> None:
        hands = Hands(redis_url)
        who = [subject(requests_per_minute=10, tokens_per_day=1000, concurrent_requests=8)]
        async with shared_limiter(redis_url, hands) as one, shared_limiter(redis_url, hands, gateway="two") as two:
            (first,) = await admitted(one, who, tokens=100, tries=1)
            assert len(await admitted(two, who, tokens=100, tries=9)) == 7
            assert await used(one, who) == [8, 800, 8]
            await one.settle(first, tokens=40)
            assert await used(two, who) == [8, 740, 7]

    async def test_the_places_of_a_killed_gateway_are_free_within_30_s(self, redis_url: str) -> None:
        hands = Hands(redis_url)
        who = [subject(tokens_per_day=1000, concurrent_requests=2), subject("key:k", tokens_per_day=800)]
        async with shared_limiter(redis_url, hands) as killed, shared_limiter(redis_url, hands, gateway="two") as other:
            first, second = await admitted(killed, who, tokens=300, tries=2)
            hands.advance(24)
            with pytest.raises(RateLimited):
                await other.admit(who, tokens=10)
            hands.advance(6)
            assert await used(other, who) == [0, 0, 0]
            for _ in range(2):  # it was not killed, but had been stopped: what has been used counts, once
                await killed.settle(first, tokens=120)
                await killed.step()
            assert await used(other, who) == [120, 0, 120]
            await killed.settle(second, tokens=0)
            assert await used(other, who) == [120, 0, 120]

    async def test_a_long_request_keeps_its_place(self, redis_url: str) -> None:
        hands = Hands(redis_url)
        who = [subject(tokens_per_day=1000, concurrent_requests=1)]
        async with shared_limiter(redis_url, hands) as limiter:
            long = await limiter.admit(who, tokens=300)
            for _ in range(20):
                hands.advance(10)
                await limiter.step()
            assert await used(limiter, who) == [300, 1]
            await limiter.settle(long, tokens=20)
            assert await used(limiter, who) == [20, 0]

    async def test_what_is_kept_there_ends(self, redis_url: str) -> None:
        async with shared_limiter(redis_url, SystemClock()) as limiter:
            who = [subject(requests_per_minute=10, tokens_per_minute=1000, concurrent_requests=8)]
            first, _ = await admitted(limiter, who, tokens=100, tries=2)
            await limiter.settle(first, tokens=10)
        with redis.Redis.from_url(redis_url) as client:
            left_s = {key.decode(): client.ttl(key) for key in client.keys("*")}
        assert left_s.pop("test:gateway:one") == -1
        assert set(left_s) == {f"test:user:u{end}" for end in ("", ":60000000", ":flights", ":held")}
        assert all(0 < ttl_s <= 62 for ttl_s in left_s.values())

    async def test_one_that_hangs_up_while_it_is_let_in_takes_no_place(self, redis_server: RedisServer) -> None:
        who = [subject(tokens_per_day=1000, concurrent_requests=1)]
        async with shared_limiter(redis_server.url, SystemClock()) as limiter:
            redis_server.freeze()
            asking = asyncio.create_task(limiter.admit(who, tokens=100))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asking.cancel()
            redis_server.thaw()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await limiter.step()
            assert await used(limiter, who) == [0, 0]
            assert limiter.degraded is None


class TestAway:
    @pytest.mark.parametrize("gateways", [1, 2, 3])
    async def test_each_gateway_admits_its_share(self, redis_server: RedisServer, gateways: int) -> None:
        who = [subject(requests_per_minute=10, tokens_per_day=1000, concurrent_requests=9)]
        async with AsyncExitStack() as stack:
            limiters = [
                await stack.enter_async_context(
                    shared_limiter(redis_server.url, SystemClock(), gateway=f"{n}", gateways=lambda: gateways)
                )
                for n in range(gateways)
            ]
            redis_server.kill()
            passed = [await admitted(limiter, who, tokens=10, tries=20) for limiter in limiters]
        assert [len(one) for one in passed] == [min(-(-10 // gateways), -(-9 // gateways))] * gateways
        assert sum(map(len, passed)) <= 10 + gateways

    async def test_no_limit_becomes_none(self, redis_server: RedisServer) -> None:
        async with shared_limiter(redis_server.url, SystemClock(), gateways=lambda: 50) as limiter:
            redis_server.kill()
            assert len(await admitted(limiter, [subject(requests_per_minute=1)], tries=3)) == 1
            assert len(await admitted(limiter, [subject("user:v", requests_per_minute=0)], tries=3)) == 0

    async def test_what_was_admitted_before_counts_in_the_share(self, redis_server: RedisServer) -> None:
        who = [subject(requests_per_minute=10)]
        async with shared_limiter(redis_server.url, SystemClock(), gateways=lambda: 2) as limiter:
            assert len(await admitted(limiter, who, tries=4)) == 4
            redis_server.kill()
            assert len(await admitted(limiter, who, tries=4)) == 1

    @pytest.mark.parametrize("how", ["kill", "freeze"])
    async def test_no_request_waits_twice(
        self, redis_server: RedisServer, how: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        who = [subject(requests_per_minute=100, concurrent_requests=100)]
        async with shared_limiter(redis_server.url, SystemClock(), timeout_s=0.25) as limiter:
            passed = await admitted(limiter, who, tries=1)
            getattr(redis_server, how)()
            begun = time.monotonic()
            passed += await admitted(limiter, who, tries=1)
            assert time.monotonic() - begun < 0.25 + AT_ONCE_S
            assert "Redis cannot be used" in str(limiter.degraded)
            begun = time.monotonic()
            passed += await admitted(limiter, who, tries=20)
            for admission in passed:
                await limiter.settle(admission, tokens=1)
            await limiter.look(who)
            assert time.monotonic() - begun < AT_ONCE_S
            await limiter.step()
            await limiter.step()
            redis_server.thaw()
        assert len(passed) == 22
        assert capsys.readouterr().out.count("limits_not_shared") == 1

    async def test_when_it_thaws_it_is_told_what_was_admitted_meanwhile(self, redis_server: RedisServer) -> None:
        who = [subject(requests_per_minute=20, tokens_per_day=1000, concurrent_requests=20)]
        async with (
            shared_limiter(redis_server.url, SystemClock(), gateways=lambda: 2, timeout_s=0.25) as one,
            shared_limiter(redis_server.url, SystemClock(), gateway="two", gateways=lambda: 2) as two,
        ):
            before = await admitted(one, who, tokens=10, tries=4)
            redis_server.freeze()
            meanwhile = await admitted(one, who, tokens=10, tries=4)
            await one.settle(before[0], tokens=1)
            await one.settle(meanwhile[0], tokens=2)
            redis_server.thaw()
            await one.step()
            assert one.degraded is None
            # The first of those admitted alone had waited for Redis, which counted it too, once it could.
            assert (await used(two, who))[0] in {8, 9}
            assert (await used(two, who))[1:] == [1 + 2 + 6 * 10, 6]
            await one.settle(before[1], tokens=3)
            await one.settle(meanwhile[1], tokens=4)
            assert (await used(two, who))[1:] == [1 + 2 + 3 + 4 + 4 * 10, 4]

    @pytest.mark.parametrize("seen", [True, False], ids=["while it is away", "only by what it has lost"])
    async def test_a_redis_that_has_lost_everything_is_told_everything(
        self, redis_server: RedisServer, seen: bool
    ) -> None:
        who = [
            subject(requests_per_minute=20, tokens_per_day=1000, concurrent_requests=20),
            subject("key:k", tokens_per_month=900),
        ]
        async with (
            shared_limiter(redis_server.url, SystemClock(), gateways=lambda: 2) as one,
            shared_limiter(redis_server.url, SystemClock(), gateway="two", gateways=lambda: 2) as two,
        ):
            first, second, *_ = await admitted(one, who, tokens=10, tries=4)
            await one.settle(first, tokens=7)
            (other,) = await admitted(two, who, tokens=10, tries=1)
            redis_server.kill()
            alone = await admitted(one, who, tokens=10, tries=2) if seen else []
            redis_server.start()
            if not seen:
                alone = await admitted(one, who, tokens=10, tries=2)
            await one.settle(second, tokens=8)
            for limiter in (one, two):
                await limiter.step()
                assert limiter.degraded is None
            assert await used(one, who) == [7, 7 + 8 + 50, 5, 7 + 8 + 50]
            await one.settle(alone[0], tokens=1)
            await two.settle(other, tokens=1)
            assert await used(two, who) == [7, 7 + 8 + 30 + 2, 3, 7 + 8 + 30 + 2]

    @pytest.mark.parametrize("how", ["kill", "freeze"])
    async def test_no_connection_of_before_is_used_again(self, redis_server: RedisServer, how: str) -> None:
        who = [subject(requests_per_minute=1000)]
        async with shared_limiter(redis_server.url, SystemClock(), timeout_s=0.5) as limiter:
            await asyncio.gather(*(limiter.admit(who, tokens=0) for _ in range(64)))
            assert not is_away(limiter)
            getattr(redis_server, how)()
            await asyncio.gather(*(limiter.admit(who, tokens=0) for _ in range(64)))
            assert is_away(limiter)
            if how == "kill":
                redis_server.start()
            redis_server.thaw()
            await limiter.step()
            assert not is_away(limiter)
            await asyncio.gather(*(limiter.admit(who, tokens=0) for _ in range(64)))
            assert not is_away(limiter)
            # Those that were waiting when it froze may have been counted by Redis too, once it could.
            assert 192 <= (await used(limiter, who))[0] <= 192 + (64 if how == "freeze" else 0)

    async def test_what_it_is_told_keeps_its_time(self, redis_url: str) -> None:
        hands = Hands(redis_url)
        who = [subject(requests_per_minute=3)]
        async with shared_limiter(redis_url, hands) as limiter:
            for _ in range(3):
                await limiter.admit(who, tokens=0)
                hands.advance(10)
            with redis.Redis.from_url(redis_url) as client:
                client.flushall()
            hands.advance(5)
            with pytest.raises(RateLimited):
                await limiter.admit(who, tokens=0)
            await limiter.step()
            assert limiter.degraded is None
            with pytest.raises(RateLimited) as refused:
                await limiter.admit(who, tokens=0)
            assert refused.value.details["retry_after_s"] == 25
            hands.advance(25)
            assert len(await admitted(limiter, who, tries=3)) == 1

    async def test_a_restarted_gateway_tells_what_it_has_kept_only_where_that_is_lost(self, redis_url: str) -> None:
        hands = Hands(redis_url)
        who = [subject(tokens_per_minute=100, tokens_per_month=1000)]
        kept = Kept()
        async with shared_limiter(redis_url, hands, keep=kept.keep) as limiter:
            for _ in range(3):
                await limiter.settle(await limiter.admit(who, tokens=10), tokens=20)
        assert {window.kind: window.tokens for window in kept.windows} == {"minute": 60, "month": 60}
        hands.advance(60)
        async with shared_limiter(redis_url, hands, kept=kept.windows) as limiter:
            assert await used(limiter, who) == [0, 60]
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        hands.advance(0)
        async with shared_limiter(redis_url, hands, kept=kept.windows) as limiter:
            assert await used(limiter, who) == [0, 60]


class TestStart:
    def settings(self, url: str) -> LimiterSettings:
        return LimiterSettings(redis_url=url, redis_prefix="test")

    async def test_a_wrong_password_stops_the_start(self, redis_server: RedisServer) -> None:
        for url in (
            redis_server.url.replace(redis_server.password, "planted"),
            redis_server.url.replace(redis_server.password, ""),
        ):
            with pytest.raises(StartError, match=r"limits\.redis_url cannot be used") as failed:
                async with limiting(self.settings(url), Kept(), SystemClock(), gateway="a", gateways=lambda: 1):
                    pass
            assert "planted" not in str(failed.value)

    async def test_an_address_of_something_else_stops_the_start(self) -> None:
        with pytest.raises(StartError, match="no address of a Redis"):
            async with limiting(
                self.settings("http://:planted@x"), Kept(), SystemClock(), gateway="a", gateways=lambda: 1
            ):
                pass

    async def test_counting_for_itself_in_a_shared_redis_makes_no_sense(self, redis_url: str) -> None:
        settings = LimiterSettings(redis_url=redis_url, scope="gateway")
        with pytest.raises(StartError, match="take one of them away"):
            async with limiting(settings, Kept(), SystemClock(), gateway="a", gateways=lambda: 1):
                pass

    async def test_one_that_is_away_is_waited_for(self, redis_server: RedisServer) -> None:
        redis_server.kill()
        clock = Hands()
        who = [subject(requests_per_minute=10)]
        async with limiting(self.settings(redis_server.url), Kept(), clock, gateway="a", gateways=lambda: 2) as limiter:
            assert limiter.degraded is not None
            assert len(await admitted(limiter, who, tries=20)) == 5
            redis_server.start()
            async with asyncio.timeout(10):
                while limiter.degraded:
                    clock.advance(1)
                    await asyncio.sleep(0.01)
            assert len(await admitted(limiter, who, tries=20)) == 5
