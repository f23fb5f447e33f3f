"""Passwords: Argon2id in threads of their own, never on the event loop, and never without bound.

Hashes of bcrypt, from another system, verify too and are replaced at the next log-in.
"""

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from types import TracebackType
from typing import Self, TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hyperinfer.errors import BadRequest, Overloaded

T = TypeVar("T")

MIN_LENGTH = 8
MAX_LENGTH = 128
THREADS = 2
MAX_WAITING = 64

# Minimum configuration of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; about 17 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# The hash of a random text under the same parameters, verified where there is no account, so that it takes as long.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$ca6M05R5ecKp+tdbNEnL7Q$eDUvvVBS3qwfqGXzTgsEJDNwPLu5M/U+HoFKRamVx9w"

UNSET = ""
"""The hash of an account that has no password yet: none is right."""

BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
BCRYPT_START = len("$2b$12$")
BCRYPT_BYTES = 72
"""As much of a password as bcrypt looks at."""
MOST_ROUNDS = 15
"""bcrypt's cost beyond which a hash is not tried: it would hold a thread for longer than anybody waits."""

COMMON = frozenset(files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8").split())


def check_policy(password: str, *, names: tuple[str, ...] = ()) -> None:
    """Raise `BadRequest` for a password that is too short, too long, common, or the account's own name."""
    if len(password) < MIN_LENGTH:
        raise BadRequest(f"A password needs at least {MIN_LENGTH} characters.", param="password")
    if len(password) > MAX_LENGTH:
        raise BadRequest(f"A password may have at most {MAX_LENGTH} characters.", param="password")
    if any("\ud800" <= char <= "\udfff" for char in password):
        raise BadRequest("A password must be text that UTF-8 can write.", param="password")
    if password.lower() in COMMON:
        raise BadRequest("This password is among the first that anybody tries; choose another.", param="password")
    if password.lower() in {name.lower() for name in names}:
        raise BadRequest("A password must not be the account's own name.", param="password")


def is_outdated(stored: str, password: str) -> bool:
    """Whether the right password is to be hashed anew, in today's way.

    Of a longer one than bcrypt looks at nobody knows whether all of it was typed right, so that hash stays.
    """
    if BCRYPT.fullmatch(stored):
        return len(_prepared(password)) <= BCRYPT_BYTES
    return HASHER.check_needs_rehash(stored)


class Passwords:
    """Hashes and verifies; at most `MAX_WAITING` wait for a thread, further ones are refused with `Overloaded`.

    While there are hashes of bcrypt (`rounds` says how costly the costliest is), what is refused takes the time of both
    kinds, whichever the account has: the time must not tell whether there is an account.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._waiting = 0
        self.rounds: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """How many are being hashed or wait for it."""
        return self._waiting

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await self._run(partial(HASHER.hash, _prepared(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one whose hash is stored; without a hash it never is, and takes as long."""
        prepared = _prepared(password[: MAX_LENGTH + 1])
        return await self._run(partial(_verify, stored or UNSET, prepared, self.rounds))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many people are logging in at once; try again shortly.", retry_after_s=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def rounds_of(stored: str) -> int | None:
    """The cost of a hash of bcrypt; nothing for another, and for one that is too costly to be tried."""
    found = BCRYPT.fullmatch(stored)
    return int(found[1]) if found and int(found[1]) <= MOST_ROUNDS else None


def costliest(starts: Iterable[str]) -> int | None:
    """The highest cost of hashes of bcrypt that begin so (`BCRYPT_START` characters); nothing if there are none."""
    return max(filter(None, (rounds_of(start + "." * 53) for start in starts)), default=None)


def _prepared(password: str) -> bytes:
    """A password as it is hashed: in one Unicode form (RFC 8265, OpaqueString), however a keyboard composes it."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _verify(stored: str, password: bytes, rounds: int | None) -> bool:
    own = rounds_of(stored)
    if own is not None:
        if _is_bcrypt(stored, password):
            return True
        _is_argon2(NOBODY, password)
        return False
    is_ours = stored.startswith("$argon2")
    if _is_argon2(stored if is_ours else NOBODY, password) and is_ours:
        return True
    if rounds is not None:
        _is_bcrypt(f"$2b${rounds:02}${'.' * 53}", password)
    return False


def _is_argon2(stored: str, password: bytes) -> bool:
    try:
        return HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _is_bcrypt(stored: str, password: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], stored.encode())
    except ValueError:  # a salt or a password that bcrypt does not take
        return False
