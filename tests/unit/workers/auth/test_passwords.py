"""Passwords: what is refused, and hashing that holds nobody else up."""

import asyncio
from threading import Event

import pytest
from argon2 import extract_parameters

from hyperinfer.errors import BadRequest, Overloaded
from hyperinfer.workers.auth import passwords as module
from hyperinfer.workers.auth.passwords import HASHER, MAX_WAITING, NOBODY, Passwords, check_policy


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
        asked = asyncio.create_task(passwords.verify("stored", "password"))
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
        work = [asyncio.create_task(passwords.verify("stored", "password")) for _ in range(MAX_WAITING)]
        try:
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as caught:
                await passwords.verify("stored", "password")
            assert caught.value.details["retry_after_s"] > 0
            work[-1].cancel()
            await asyncio.wait([work[-1]])
            work[-1] = asyncio.create_task(passwords.verify("stored", "password"))
            await asyncio.sleep(0)
            assert passwords.waiting == MAX_WAITING
        finally:
            held.go.set()
        assert all(await asyncio.gather(*work))
        assert passwords.waiting == 0
