"""What is counted in Redis: the scripts' arguments and replies, a deadline on each, and what their failures mean."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from hyperinfer.contracts.limits import Subject
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.redis import Calls, connect
from hyperinfer.protocol.limits import Log, Reading, Rules, rules_of
from hyperinfer.workers.gateway.limiting.scripts import read, scripts, sha_of

MAX_CONNECTIONS = 4
"""One for what requests ask, one for the rest."""
LEASE_S = 25.0
"""How long a place is kept for a request of whose gateway nothing is heard."""
ADOPT_TIMEOUT_S = 5.0
"""For what may be long, and what no request waits for."""
CLOSE_TIMEOUT_S = 1.0

US = 1_000_000
NOT_KNOWN = -1


class StoreAway(Unavailable):
    """Redis cannot be used now. It never leaves the limiter."""


class StoreRefuses(StoreAway):
    """Redis does not let us in, or cannot do what is asked of it."""


class StoreForgot(StoreAway):
    """Redis has lost what this gateway has told it."""


class Contribution(msgspec.Struct, frozen=True):
    """What a gateway has counted for one subject without Redis. `id` is its own: it is taken in once.

    `requests` are its logs by the length of their windows; `tokens` are kinds of windows with their start and what was
    used; `flights` are ids with the tokens that they hold and the windows in which they do.
    """

    id: str
    subject: str
    requests: Sequence[tuple[float, Log]]
    tokens: Sequence[tuple[str, int, int]]
    flights: Sequence[tuple[str, int, Mapping[str, int]]]


class RedisStore:
    """One gateway's way to a Redis, while `run` runs. What requests wait for raises `StoreAway` within `timeout_s`.

    `gateway` names this gateway. The part `clock` of the scripts tells the time, which is Redis' own.
    """

    def __init__(self, url: str, *, prefix: str, gateway: str, timeout_s: float, clock: str = "") -> None:
        self._prefix = prefix
        self._marker = f"{prefix}:gateway:{gateway}"
        self._timeout_s = timeout_s
        self._scripts = scripts(clock or read("clock"))
        self._shas = {name: sha_of(script) for name, script in self._scripts.items()}
        self._redis, self._pool = connect(
            url, setting="limits.redis_url", max_connections=MAX_CONNECTIONS, timeout_s=timeout_s
        )
        self._calls = Calls(self._redis, timeout_s=timeout_s)

    def name(self, subject: str) -> str:
        """What a subject is called in Redis."""
        return f"{self._prefix}:{subject}"

    async def run(self) -> None:
        """Ask Redis what is asked here, until cancelled."""
        await self._calls.run()

    async def open(self) -> bool:
        """Make ready; says whether Redis still has what this gateway has told it. Raises `StoreRefuses`, `StoreAway`."""
        with self._failures():
            async with asyncio.timeout(self._timeout_s):
                # Connections of before may lead nowhere, which is noticed only by waiting for each.
                await self._pool.disconnect(inuse_connections=False)
                for script in self._scripts.values():
                    await self._redis.script_load(script)
                return bool(await self._redis.exists(self._marker))

    async def check(self) -> None:
        """See that Redis is there, and has what this gateway has told it."""
        with self._failures():
            async with asyncio.timeout(self._timeout_s):
                if not await self._redis.exists(self._marker):
                    raise StoreForgot("It has been emptied.")

    async def remember(self) -> None:
        """This gateway has told everything that it knows."""
        with self._failures():
            async with asyncio.timeout(self._timeout_s):
                await self._redis.set(self._marker, 1)

    async def close(self) -> None:
        """Hang up."""
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.disconnect()

    async def admit(self, flight: str, subjects: Sequence[Subject], tokens: int) -> tuple[bool, list[Reading]]:
        """Count a request if it fits; says whether, and how all stand then."""
        rules = [rules_of(subject.limits) for subject in subjects]
        asked = {"id": flight, "tokens": tokens, "lease": _us(LEASE_S), "subjects": [_asked(one) for one in rules]}
        reply = await self._run("admit", [self.name(subject.id) for subject in subjects], asked)
        return bool(reply[0]), _readings(reply, rules)

    async def look(self, subjects: Sequence[Subject]) -> list[Reading]:
        """How subjects stand."""
        rules = [rules_of(subject.limits) for subject in subjects]
        asked = {"subjects": [_asked(one) for one in rules]}
        return _readings(await self._run("look", [self.name(subject.id) for subject in subjects], asked), rules)

    async def settle(self, flight: str, subjects: Sequence[str], tokens: int) -> None:
        """A request has ended. However often it is told, it counts once."""
        await self._run("settle", list(map(self.name, subjects)), {"id": flight, "tokens": tokens})

    async def renew(self, flights: Mapping[str, Sequence[str]]) -> None:
        """Requests of these subjects are still under way."""
        names = list(map(self.name, flights))
        await self._run("renew", names, {"lease": _us(LEASE_S), "ids": list(flights.values())})

    async def adopt(self, counted: Contribution, *, now: float) -> None:
        """Take in what was counted elsewhere; `now` is by the clock by which it was counted."""
        asked = {
            "lease": _us(LEASE_S),
            "requests": [
                (_us(length_s), [(_us(now - time), count) for time, count in log]) for length_s, log in counted.requests
            ],
            "tokens": counted.tokens,
            "flights": counted.flights,
        }
        keys = [f"{self._prefix}:counted:{counted.id}", self.name(counted.subject)]
        with self._failures():
            async with asyncio.timeout(max(self._timeout_s, ADOPT_TIMEOUT_S)):
                await self._redis.evalsha(self._shas["adopt"], len(keys), *keys, msgspec.json.encode(asked))

    async def _run(self, script: str, names: list[str], asked: Mapping[str, Any]) -> list[int]:
        with self._failures():
            reply: list[int] = await self._calls.call(
                "EVALSHA", self._shas[script], len(names) + 1, self._marker, *names, msgspec.json.encode(asked)
            )
        if reply[0] == NOT_KNOWN:
            raise StoreForgot("It has been emptied.")
        return reply

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except NoScriptError as error:
            raise StoreForgot("It has been restarted.") from error
        except (BusyLoadingError, MasterDownError, OutOfMemoryError) as error:
            raise StoreAway(str(error)) from error
        except (AuthenticationError, AuthorizationError, NoPermissionError, ResponseError) as error:
            raise StoreRefuses(str(error)) from error
        except TimeoutError as error:
            raise StoreAway(f"It has not answered within {self._timeout_s:g} s.") from error
        except (RedisError, OSError) as error:
            raise StoreAway(str(error)) from error


def _us(seconds: float) -> int:
    return round(seconds * US)


def _asked(rules: Rules) -> dict[str, Any]:
    return {
        "requests": [
            (_us(rule.window.length_s), rule.window.requests, _us(rule.window.grain_s)) for rule in rules.requests
        ],
        "tokens": [(rule.kind, rule.tokens) for rule in rules.tokens],
        "concurrent": -1 if rules.concurrent is None else rules.concurrent,
        "follows": rules.follows,
    }


def _readings(reply: Sequence[int], rules: Sequence[Rules]) -> list[Reading]:
    """The readings that a reply holds, one after the other behind its first number."""
    numbers = iter(reply[1:])
    return [
        Reading(
            in_flight=next(numbers),
            requests=tuple((next(numbers), next(numbers) / US, next(numbers) / US) for _ in one.requests),
            tokens=tuple((next(numbers), next(numbers), next(numbers) / US) for _ in one.tokens),
        )
        for one in rules
    ]
