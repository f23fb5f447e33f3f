"""Memory holds what was used last, no more than it may and for no longer than it may."""

from prometheus_client import CollectorRegistry

from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.cache import CacheKey
from hyperinfer.workers.inference.cache.memory import ENTRY_BYTES, MemoryStore
from hyperinfer.workers.inference.cache.meters import CacheMeters

DATA = b"x" * (1000 - ENTRY_BYTES)


class House:
    def __init__(self, *, max_bytes: int = 3000, ttl_s: float = 60) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.store = MemoryStore(max_bytes=max_bytes, ttl_s=ttl_s, clock=self.clock, meters=CacheMeters(self.registry))

    async def put(self, *names: str, data: bytes = DATA) -> None:
        for name in names:
            await self.store.put(CacheKey(name, b""), data)

    async def names(self, *names: str) -> str:
        """Of these, those that are kept."""
        return "".join([name for name in names if await self.store.get(CacheKey(name, b"")) is not None])

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"ai_platform_inference_cache_{name}", labels) or 0.0


async def test_what_is_kept_is_there() -> None:
    house = House()
    await house.put("a")
    assert await house.store.get(CacheKey("a", b"")) == DATA
    assert await house.store.get(CacheKey("b", b"")) is None
    assert (house.count("bytes"), house.count("entries")) == (1000, 1)


async def test_what_was_not_used_for_longest_makes_room() -> None:
    house = House()
    await house.put(*"abc")
    assert await house.names("a") == "a"
    await house.put("d")
    assert await house.names(*"abcd") == "acd"
    assert house.count("bytes") == 3000
    assert house.count("evictions_total", reason="room") == 1


async def test_what_is_old_is_gone() -> None:
    house = House(ttl_s=60)
    await house.put("a")
    house.clock.advance(59)
    assert await house.names("a") == "a"
    house.clock.advance(1)
    assert await house.names("a") == ""
    assert (house.count("bytes"), house.count("entries")) == (0, 0)
    assert house.count("evictions_total", reason="old") == 1


async def test_what_is_kept_again_takes_its_place_once() -> None:
    house = House()
    await house.put("a", "a", "a")
    await house.put("a", data=b"short")
    assert house.count("bytes") == len(b"short") + ENTRY_BYTES


async def test_what_is_larger_than_all_the_room_is_not_kept() -> None:
    house = House(max_bytes=1000)
    await house.put("a")
    await house.put("b", data=DATA + b"x")
    assert await house.names(*"ab") == "a"
    nothing = House(max_bytes=0)
    await nothing.put("a")
    assert await nothing.names("a") == ""
