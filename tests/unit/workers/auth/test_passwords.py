"""Passwords: what is refused, and hashing that holds nobody else up."""

import asyncio
from threading import Event

import bcrypt
import pytest
from argon2 import PasswordHasher, extract_parameters

from hyperinfer.errors import BadRequest, Overloaded
from hyperinfer.workers.auth import passwords as module
from hyperinfer.workers.auth.passwords import (
    HASHER,
    MAX_WAITING,
    NOBODY,
    UNSET,
    Passwords,
    check_policy,
    costliest,
    is_outdated,
    rounds_of,
)


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 129, "password", "PASSWORD1", "Ada@x.org", "ada-lovelace", "\ud800" * 10]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_policy(password, names=("ada@x.org", "ada-lovelace"))
    assert caught.value.details == {"param": "password"}


@pytest.mark.parametrize("password", ["8 chars!", "x" * 128, "пароль-пароль", "🐴🔋🐴🔋🐴🔋🐴🔋"])
def test_others_are_taken(password: str) -> None:
    check_policy(password, names=("ada@x.org", "ada"))


def test_the_cost_is_what_owasp_asks_for_and_nobody_pays_less() -> None:
    own = extract_parameters(HASHER.hash("x"))
    assert (own.type.name, own.memory_cost, own.time_cost, own.parallelism) == ("ID", 19456, 2, 1)
    assert extract_parameters(NOBODY) == own


async def test_a_password_is_verified_and_nothing_else() -> None:
    with Passwords() as passwords:
        stored = await passwords.hash("correct horse")
        assert await passwords.hash("correct horse") != stored
        assert await passwords.verify(stored, "correct horse")
        for wrong in ("wrong horse", "correct horse ", "", "x" * 10_000, "\ud800"):
            assert not await passwords.verify(stored, wrong)
        assert not await passwords.verify(None, "nobody")
        assert not await passwords.verify("no hash", "wrong")


async def test_two_ways_to_type_one_letter_are_one_password() -> None:
    with Passwords() as passwords:
        assert await passwords.verify(await passwords.hash("caf\u00e9 caf\u00e9"), "cafe\u0301 cafe\u0301")


class Held:
    """A hasher whose every verification lasts until the test lets go."""

    def __init__(self) -> None:
        self.go = Event()

    def verify(self, stored: str, password: bytes) -> bool:
        return self.go.wait(timeout=30)


async def test_the_event_loop_runs_on_while_hashing_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    monkeypatch.setattr(module, "HASHER", held)
    with Passwords() as passwords:
        asked = asyncio.create_task(passwords.verify("$argon2id$stored", "password"))
        try:
            # Were it hashed on the loop, this would not come to an end before it.
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not asked.done()
            assert passwords.waiting == 1
        finally:
            held.go.set()
        assert await asked


async def test_too_many_who_wait_are_refused_at_once_and_leaving_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    monkeypatch.setattr(module, "HASHER", held)
    with Passwords() as passwords:
        work = [asyncio.create_task(passwords.verify("$argon2id$stored", "password")) for _ in range(MAX_WAITING)]
        try:
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as caught:
                await passwords.verify("$argon2id$stored", "password")
            assert caught.value.details["retry_after_s"] > 0
            work[-1].cancel()
            await asyncio.wait([work[-1]])
            work[-1] = asyncio.create_task(passwords.verify("$argon2id$stored", "password"))
            await asyncio.sleep(0)
            assert passwords.waiting == MAX_WAITING
        finally:
            held.go.set()
        assert all(await asyncio.gather(*work))
        assert passwords.waiting == 0


# --- hashes of another system ------------------------------------------------------------------------------------

ROUNDS = 5


def bcrypted(password: str, kind: str = "2b") -> str:
    made = bcrypt.hashpw(password.encode()[: module.BCRYPT_BYTES], bcrypt.gensalt(ROUNDS)).decode()
    return f"${kind}{made[3:]}"


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
async def test_hashes_of_bcrypt_verify_and_are_outdated(kind: str) -> None:
    stored = bcrypted("correct horse", kind)
    assert rounds_of(stored) == ROUNDS
    with Passwords() as passwords:
        assert await passwords.verify(stored, "correct horse")
        assert not await passwords.verify(stored, "wrong horse")
        assert not await passwords.verify(stored, "correct\0horse")
    assert is_outdated(stored, "correct horse")


async def test_a_password_longer_than_bcrypt_looks_at_verifies_and_is_not_taken_over() -> None:
    long = "x" * module.BCRYPT_BYTES
    with Passwords() as passwords:
        assert await passwords.verify(bcrypted(long), f"{long} and more")
    assert is_outdated(bcrypted(long), long)
    assert not is_outdated(bcrypted(long), f"{long} mistyped")


async def test_hashes_of_ours_are_outdated_once_the_parameters_have_changed() -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("password")
    with Passwords() as passwords:
        assert await passwords.verify(weaker, "password")
        assert not is_outdated(await passwords.hash("password"), "password")
    assert is_outdated(weaker, "password")


@pytest.mark.parametrize(
    "stored", ["", UNSET, "$2b$", "$2b$05$short", f"$2b$31${'.' * 53}", f"$2x$05${'.' * 53}", "$argon2id$nonsense"]
)
async def test_what_is_no_hash_or_too_costly_is_nobodys(stored: str) -> None:
    with Passwords() as passwords:
        assert not await passwords.verify(stored, "")
        assert not await passwords.verify(stored, "password")


def test_the_costliest_kind_is_known_by_how_hashes_begin() -> None:
    assert costliest([]) is None
    assert costliest(["$2b$04$", "$2y$12$", "$2a$10$", "$2b$31$", "nonsense"]) == 12


async def test_what_is_refused_takes_both_kinds_while_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    right = bcrypted("correct horse")

    def noted(stored: str, password: bytes) -> bool:
        tried.append("bcrypt" if stored.startswith("$2") else "argon2")
        return False

    monkeypatch.setattr(module, "_is_argon2", noted)
    monkeypatch.setattr(module, "_is_bcrypt", noted)
    with Passwords() as passwords:
        passwords.rounds = ROUNDS
        for stored in (None, UNSET, module.NOBODY, right):
            tried.clear()
            assert not await passwords.verify(stored, "wrong horse")
            assert sorted(tried) == ["argon2", "bcrypt"], stored
