"""Names and passwords of accounts."""

import asyncio

import pytest

from hyperinfer.errors import BadRequest, Overloaded
from hyperinfer.workers.auth import accounts
from hyperinfer.workers.auth.passwords import MAX_WAITING, Passwords, check_policy


@pytest.mark.parametrize("text", ["", "a", "a@b", "@b.c", "a@@b.c", "a b@c.d", "a@b.c\n", "x" * 95 + "@b.com"])
def test_what_is_no_address_is_refused(text: str) -> None:
    if text.endswith("\n"):
        assert accounts.email_of(text) == "a@b.c"
        return
    with pytest.raises(BadRequest):
        accounts.email_of(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "ä", "a@b", "x" * 51, "a\n\nb", "a/b"])
def test_what_is_no_username_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        accounts.username_of(text)


def test_names_are_compared_in_one_form() -> None:
    assert accounts.username_of(" Ada.L ") == "ada.l"
    assert accounts.email_of(" Ada@Example.ORG ") == "ada@example.org"


@pytest.mark.parametrize(
    ("email", "taken", "name"),
    [
        ("ada@x.org", [], "ada"),
        ("ada@x.org", ["ada"], "ada2"),
        ("ada@x.org", ["ada", "ada2", "ada4"], "ada3"),
        ("a+b c@x.org", [], "a-b-c"),
        ("ü@x.org", [], "user"),
        ("x" * 64 + "@x.org", [], "x" * 44),
    ],
)
def test_a_username_is_made_from_the_address(email: str, taken: list[str], name: str) -> None:
    made = accounts.username_from(email, taken)
    assert made == name
    assert accounts.username_of(made) == made


@pytest.mark.parametrize("password", ["", "short", "x" * 129, "password", "PASSWORD1", "ada@x.org"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(BadRequest):
        check_policy(password, names=("ada@x.org", "ada"))


async def test_hashing_leaves_the_event_loop_free() -> None:
    with Passwords() as passwords:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        stored = await passwords.hash("correct horse")
        assert stored.startswith("$argon2id$")
        assert await passwords.verify(stored, "correct horse")
        assert not await passwords.verify(stored, "wrong horse")
        assert not await passwords.verify(None, "nobody")
        assert not await passwords.verify("no hash", "wrong")
        ticking.cancel()
        assert ticks > 50


async def test_too_many_who_wait_are_refused() -> None:
    with Passwords() as passwords:
        stored = await passwords.hash("correct horse")
        work = [asyncio.create_task(passwords.verify(stored, "x" * 8)) for _ in range(MAX_WAITING + 5)]
        results = await asyncio.gather(*work, return_exceptions=True)
        assert sum(isinstance(result, Overloaded) for result in results) == 5
