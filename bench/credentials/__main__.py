"""Time telling whose an API key or session token is, in a directory of 200 people and 2,000 keys.

Beside it stands what no implementation can go below: hashing the key and one look-up in a dictionary.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.contracts import directory
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.directory import Change, Changes, KeyRecord, SigningRecord, TierRecord, UserRecord
from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.run import loop_factory
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.workers.gateway.credentials import Credentials
from hyperinfer.workers.gateway.directory import DirectoryCopy, Follower, following

PEOPLE, KEYS, ROUNDS = 200, 2000, 20_000


class Away:
    """An auth worker that cannot be reached."""

    async def call(self, *_: Any, **__: Any) -> Any:
        """Nobody answers."""
        raise PeerUnreachable("Away.")


def page_of(keys: list[str], signing: Ed25519PrivateKey) -> Changes:
    """A directory with all of them."""
    records: list[tuple[str, str, msgspec.Struct]] = [
        (directory.SIGNING, "k", SigningRecord(jwk=session_tokens.public_jwk(signing, "k"))),
        (directory.TIER, "default", TierRecord(limits=Limits(requests_per_minute=10))),
        *((directory.USER, f"u{n}", UserRecord(username=f"u{n}", email=f"u{n}@x")) for n in range(PEOPLE)),
        *(
            (directory.KEY, f"k{n}", KeyRecord(user_id=f"u{n % PEOPLE}", digest=api_keys.digest(key)))
            for n, key in enumerate(keys)
        ),
    ]
    changes = tuple(
        Change(seq=n, kind=kind, id=name, record=msgspec.Raw(msgspec.json.encode(record)))
        for n, (kind, name, record) in enumerate(records, 1)
    )
    return Changes(directory="bench", seq=len(changes), changes=changes, is_whole=True)


async def timed(what: Callable[[str], Awaitable[Any]], credentials: list[str]) -> tuple[float, float]:
    """The median and the 99th percentile of one call, in microseconds."""
    chance = Random(1)
    taken = []
    for _ in range(ROUNDS):
        credential = chance.choice(credentials)
        begun = time.perf_counter()
        await what(credential)
        taken.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[-1]


async def main() -> None:
    """Print the figures."""
    signing, clock = Ed25519PrivateKey.generate(), SystemClock()
    keys = [api_keys.mint().text for _ in range(KEYS)]
    page = page_of(keys, signing)
    copy = DirectoryCopy()
    begun = time.perf_counter()
    copy.apply(page)
    loaded_ms = (time.perf_counter() - begun) * 1e3
    people = [Principal(user_id=f"u{n}", username=f"u{n}", email=f"u{n}@x") for n in range(PEOPLE)]
    now = clock.now().timestamp()
    tokens = [
        session_tokens.sign(who, session_id=who.user_id, key=signing, key_id="k", now=now, lifetime_s=3600)
        for who in people
    ]
    bare = {sha256(key.encode()).digest(): key for key in keys}
    follower = Follower(Away(), copy, clock=clock)
    credentials = Credentials(copy, follower, clock=clock, grace_s=float("inf"))

    async def floor(key: str) -> str:
        return bare[sha256(key.encode()).digest()]

    async def tell(key: str) -> Principal:
        return await credentials.principal(key, before_check=lambda: None)

    with tempfile.TemporaryDirectory() as folder:
        async with following(follower, Path(folder)):
            print(f"directory of {PEOPLE} people and {KEYS:,} keys: taken in within {loaded_ms:.1f} ms")
            print(f"{'':24}{'p50 µs':>8}{'p99 µs':>8}")
            for name, what, asked in (
                ("hash and look up (floor)", floor, keys),
                ("API key", tell, keys),
                ("session token", tell, tokens),
            ):
                p50, p99 = await timed(what, asked)
                print(f"{name:24}{p50:8.1f}{p99:8.1f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
