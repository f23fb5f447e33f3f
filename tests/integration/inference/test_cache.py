"""The response cache of whole workers: what is given again is what was said, to whom it was said, wherever it is kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
import redis
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.contracts.method import NO_META
from hyperinfer.errors import HyperinferError, StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers import RedisServer
from hyperinfer.workers.inference.backends.echo.backend import Echo
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.cache import CacheSettings, open_cache
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService

SECRET = b"s" * 32
IN_MEMORY = CacheSettings()
SAY = {"messages": [{"role": "user", "content": "My secret is 42."}], "temperature": 0}
FUNCTION = {
    "name": "find",
    "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
}
VARIED: dict[str, dict[str, Any]] = {
    "text": SAY,
    "long": {**SAY, "messages": [{"role": "user", "content": "word " * 3000}]},
    "several": {**SAY, "n": 3, "seed": 4},
    "logprobs": {**SAY, "logprobs": True, "top_logprobs": 1},
    "tools": {**SAY, "tools": [{"type": "function", "function": FUNCTION}]},
    "cut": {**SAY, "max_tokens": 2},
    "nothing": {**SAY, "messages": [{"role": "user", "content": ""}]},
}


class Worker:
    """A worker with an echo model and a cache."""

    def __init__(self, service: InferenceService, echo: Echo, registry: CollectorRegistry) -> None:
        self.service = service
        self.echo = echo
        self.registry = registry
        self.chunks: list[dict[str, Any]] = []

    async def ask(
        self, body: dict[str, Any] = SAY, *, user: str = "me", kind: Any = "chat", stream: bool = False, **fields: Any
    ) -> Processed:
        self.chunks = []
        raw = msgspec.Raw(msgspec.json.encode(body))
        given = {"completion_id": "id", "created": 7, "cache": True, **fields}
        request = ProcessRequest(body=raw, fair_key=user, kind=kind, **given)
        send = self._take if stream else None
        call = Call(caller=b"", roles=frozenset({"gateway"}), meta=NO_META, deadline=float("inf"), send=send)
        async with asyncio.timeout(10):
            return await self.service.process(request, call)

    async def cache(self, body: dict[str, Any] = SAY, **how: Any) -> str:
        """What the cache had to do with an answer."""
        return (await self.ask(body, **how)).cache

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"ai_platform_inference_{name}", labels) or 0.0

    async def _take(self, chunks: Sequence[bytes]) -> None:
        self.chunks += [msgspec.json.decode(chunk) for chunk in chunks]


@asynccontextmanager
async def worker(cache: CacheSettings = IN_MEMORY, *, secret: bytes = SECRET, **settings: Any) -> AsyncIterator[Worker]:
    registry, clock = CollectorRegistry(), SystemClock()
    async with open_cache(cache, secret=secret, clock=clock, registry=registry) as opened:
        service = InferenceService(
            InferenceSettings(cache=cache), clock=clock, meters=Meters(registry, clock), cache=opened
        )
        echo = Echo(EchoSettings(**settings), clock, service.refresh)
        service.add(echo)
        yield Worker(service, echo, registry)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs_redis)])
async def one(request: pytest.FixtureRequest) -> AsyncIterator[Worker]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    async with worker(in_redis(url) if url else CacheSettings()) as opened:
        yield opened


def in_redis(url: str, **settings: Any) -> CacheSettings:
    # A deadline that a busy machine keeps; what holds when it passes is tried with a Redis that is frozen.
    return CacheSettings(redis_url=url, **{"redis_timeout_s": 5.0, **settings})


async def until_kept(asked: Worker, body: dict[str, Any] = SAY, **how: Any) -> None:
    async def is_kept() -> bool:
        return await asked.cache(body, **how) == "hit"

    await eventually(is_kept)


@pytest.mark.parametrize("name", VARIED)
async def test_what_is_given_again_is_what_was_said(one: Worker, name: str) -> None:
    body = VARIED[name]
    first = await one.ask(body)
    await until_kept(one, body)
    again = await one.ask(body)
    assert (first.cache, again.cache) == ("miss", "hit")
    assert msgspec.json.decode(again.completion) == msgspec.json.decode(first.completion)
    assert (again.usage, again.finish_reason) == (first.usage, first.finish_reason)
    streamed = await one.ask(body, stream=True)
    assert streamed.cache == one.chunks[0]["cache"] == "hit"
    told = one.chunks
    without = await one.ask(body, stream=True, cache=False)
    assert without.cache == ""
    assert meaning(told) == meaning(one.chunks)


def meaning(chunks: Sequence[dict[str, Any]]) -> dict[int, list[Any]]:
    """What the chunks of a stream tell, by the answer's index, wherever they are cut."""
    told: dict[int, list[Any]] = {}
    for chunk in chunks[1:]:
        assert (chunk["id"], chunk["created"]) == ("id", 7)
        for choice in chunk["choices"]:
            said = told.setdefault(choice["index"], ["", [], [], []])
            said[0] += choice["delta"].get("content") or ""
            said[1] += choice["delta"].get("tool_calls") or []
            said[2] += (choice.get("logprobs") or {}).get("content") or []
            said[3] += [choice["finish_reason"]] if choice["finish_reason"] else []
    return told


async def test_texts_and_embeddings_too(one: Worker) -> None:
    text = {"prompt": "Once upon a time", "echo": True, "temperature": 0, "max_tokens": 3}
    first = await one.ask(text, kind="completion")
    await until_kept(one, text, kind="completion")
    assert (await one.ask(text, kind="completion")).completion == first.completion
    vectors = {"input": ["a", "b"], "dimensions": 3}
    numbers = await one.ask(vectors, kind="embedding")
    await until_kept(one, vectors, kind="embedding")
    again = await one.ask(vectors, kind="embedding")
    assert (again.completion, again.usage) == (numbers.completion, numbers.usage)
    assert await one.cache({**vectors, "encoding_format": "base64"}, kind="embedding") == "hit"


async def test_a_hit_takes_no_slot_and_counts_as_no_work(one: Worker) -> None:
    await one.ask()
    await until_kept(one)
    before = one.service.model_status("echo")
    tokens = one.count("tokens_total", model="echo", kind="completion")
    hits = one.count("cache_lookups_total", result="hit")
    assert await one.cache() == "hit"
    assert one.service.model_status("echo") == before
    assert one.count("tokens_total", model="echo", kind="completion") == tokens
    assert one.count("cache_lookups_total", result="hit") == hits + 1


async def test_it_is_used_only_where_it_is_asked_for_and_for_one_user(one: Worker) -> None:
    assert await one.cache(cache=None) == ""
    assert await one.cache() == "miss"
    await until_kept(one)
    assert await one.cache(user="you") == "miss"
    assert await one.cache(cache=None) == ""
    assert await one.cache({**SAY, "temperature": 1}) == ""


@pytest.mark.parametrize("fault", ["before_first_token", "in_mid_stream"])
async def test_what_failed_is_not_kept(fault: Any) -> None:
    async with worker(fault=fault) as failing:
        for _ in range(2):
            with pytest.raises(HyperinferError):
                await failing.ask()
        assert failing.count("cache_lookups_total", result="miss") == 2
        assert failing.count("cache_entries") == 0


async def test_what_was_left_in_the_middle_is_not_kept() -> None:
    async with worker(token_s=0.05) as slow:
        leaving = asyncio.create_task(slow.ask(stream=True))

        async def has_begun() -> bool:
            return len(slow.chunks) > 2

        await eventually(has_begun)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert await slow.cache() == "miss"


async def test_memory_is_bounded() -> None:
    async with worker(CacheSettings(max_bytes=20_000, max_entry_bytes=5000)) as small:
        for number in range(100):
            await small.ask({**SAY, "messages": [{"role": "user", "content": f"{number} " * 200}]})
        assert 0 < small.count("cache_bytes") <= 20_000
        assert small.count("cache_evictions_total", reason="room") > 50
        long = {**SAY, "messages": [{"role": "user", "content": "word " * 2000}]}
        assert [await small.cache(long) for _ in range(2)] == ["miss", "miss"]
        assert small.count("cache_skipped_total", reason="too_long") == 2


# --- in Redis ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def two(url: str, **settings: Any) -> AsyncIterator[tuple[Worker, Worker]]:
    async with AsyncExitStack() as opened:
        mine, yours = [await opened.enter_async_context(worker(in_redis(url), **settings)) for _ in range(2)]
        yield mine, yours


async def test_workers_find_each_other_s_answers(redis_url: str) -> None:
    async with two(redis_url) as (first, second):
        said = await first.ask()
        await until_kept(first)
        again = await second.ask()
        assert again.cache == "hit"
        assert again.completion == said.completion
        assert second.service.model_status("echo").served == 0


async def test_workers_of_another_swarm_or_with_other_weights_do_not(redis_url: str) -> None:
    async with (
        worker(in_redis(redis_url)) as first,
        worker(in_redis(redis_url), secret=b"x" * 32) as stranger,
        worker(in_redis(redis_url), tokens=9) as changed,
    ):
        await first.ask()
        await until_kept(first)
        assert await stranger.cache() == "miss"
        assert await changed.cache() == "miss"


async def test_who_reads_redis_learns_nothing_and_what_he_writes_is_not_given(redis_url: str) -> None:
    async with worker(in_redis(redis_url, ttl_s=100)) as asked:
        await asked.ask()
        await until_kept(asked)
        with redis.Redis.from_url(redis_url) as reader:
            [name] = reader.keys()
            value = reader.get(name)
            assert isinstance(value, bytes)
            assert name.startswith(b"hyperinfer:cache:")
            for word in (b"secret", b"echo", b"stop", b"content"):
                assert word not in name + value
            assert 0 < reader.pttl(name) <= 100_000

            def put_list() -> None:
                reader.rpush("another", "x")
                reader.rename("another", name)

            changed = value[:-1] + bytes([value[-1] ^ 1])
            forgeries: list[Callable[[], object]] = [
                partial(reader.set, name, data) for data in (b"", b"{}", changed, b"x" * 2_000_000)
            ]
            for forge in [*forgeries, put_list]:

                async def is_refused(forge: Callable[[], object] = forge) -> bool:
                    forge()  # again and again: the true answer may be on its way yet
                    return await asked.cache() == "miss"

                await eventually(is_refused)


async def test_a_redis_that_dies_costs_no_request_and_is_used_again_when_it_is_back(redis_server: RedisServer) -> None:
    async with worker(in_redis(redis_server.url)) as asked:
        await asked.ask()
        await until_kept(asked)
        redis_server.kill()
        assert [await asked.cache() for _ in range(5)] == ["miss"] * 5
        assert asked.count("cache_failures_total") >= 1
        redis_server.start()
        await until_kept(asked)


async def test_a_redis_that_hangs_is_waited_for_once_and_not_for_long(redis_server: RedisServer) -> None:
    async with worker(in_redis(redis_server.url, redis_timeout_s=0.2)) as asked:
        await asked.ask()
        redis_server.freeze()
        began = time.monotonic()
        answers = await asyncio.gather(*(asked.cache() for _ in range(50)))
        first_s = time.monotonic() - began
        answers += [await asked.cache() for _ in range(50)]
        both_s = time.monotonic() - began
        assert set(answers) == {"miss"}
        assert both_s < 1.0, f"the first took {first_s:.2f} s, and all {both_s:.2f} s"
        redis_server.thaw()
        await until_kept(asked)


async def test_a_redis_that_lets_nobody_in_is_a_miss(redis_server: RedisServer) -> None:
    url = redis_server.url.replace(redis_server.password, "wrong")
    async with worker(in_redis(url)) as asked:
        assert [await asked.cache() for _ in range(3)] == ["miss"] * 3


async def test_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(StartError, match=r"cache\.redis_url"):
        async with worker(CacheSettings(redis_url="nonsense")):
            pass
