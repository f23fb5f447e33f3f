"""New accounts on a real database."""

import asyncio
from contextlib import suppress

import pytest

from hyperinfer.contracts.auth import Register
from hyperinfer.contracts.directory import KEY, USER
from hyperinfer.errors import BadRequest, Conflict, Forbidden, RateLimited
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.guesses import TOLD
from hyperinfer.workers.auth.parts import parts_on

from .conftest import HOME, PASSWORD, Office, from_


async def test_registering_makes_an_account_and_a_first_key_that_gateways_know(office: Office) -> None:
    made = await office.register()
    account = made.account
    assert (account.username, account.role, account.tier, account.is_active) == ("ada", "user", "default", True)
    assert account.created_at == "2026-11-01T00:00:00Z"
    assert (made.key.name, made.key.scopes) == ("default", ("inference", "usage"))
    who = await office.who(made.key.key)
    assert (who.user_id, who.key_id, who.scopes) == (account.id, made.key.id, ("inference", "usage"))
    told = await office.told()
    assert told[(USER, account.id)] == {"username": "ada", "email": "ada@example.org"}
    assert told[(KEY, made.key.id)]["userId"] == account.id  # type: ignore[index]  # JSON
    assert ("account.registered", "ok") in await office.audited()


async def test_a_taken_name_is_told_and_a_made_up_one_is_avoided(office: Office) -> None:
    await office.register()
    register = office.parts.registration.register
    for taken in (
        Register(email="ada@example.org", password=PASSWORD),
        Register(email="ADA@example.org ", password=PASSWORD),
        Register(email="b@example.org", password=PASSWORD, username="ADA"),
    ):
        with pytest.raises(Conflict):
            await register(taken, from_(HOME))
    other = await register(Register(email="ada@other.org", password=PASSWORD))
    assert other.account.username.startswith("ada")
    assert other.account.username != "ada"
    assert (await office.audited()).count(("account.registered", "refused")) == 3


async def test_two_who_register_one_name_at_once(office: Office) -> None:
    register = office.parts.registration.register
    results = await asyncio.gather(*(office.register() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 3
    chosen = [Register(email=f"eve@{host}.org", password=PASSWORD, username="eve") for host in "xyz"]
    results = await asyncio.gather(*(register(one) for one in chosen), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 2
    same_start = [Register(email=f"bob@{host}.org", password=PASSWORD) for host in "xyz"]
    made = await asyncio.gather(*(register(one) for one in same_start))
    assert len({one.account.username for one in made}) == 3


async def test_two_processes_that_register_one_name_at_once(office: Office) -> None:
    async with parts_on(office.data, office.settings, SystemClock()) as other:
        request = Register(email="ada@example.org", password=PASSWORD)
        asked = [one.registration.register(request) for one in (office.parts, other, office.parts, other)]
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 3


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (Register(email="nonsense", password=PASSWORD), "email"),
        (Register(email="a@b.c", password="short"), "password"),
        (Register(email="a@b.c", password=""), "password"),
        (Register(email="a@b.c", password="12345678"), "password"),
        (Register(email="adalovelace@b.c", password="adalovelace"), "password"),
        (Register(email="a@b.c", password=PASSWORD, username="a b"), "username"),
        (Register(email="a@b.c", password=PASSWORD, username="admin"), "username"),
        (Register(email="admin@hyperinfer.local", password=PASSWORD), "email"),
    ],
)
async def test_what_cannot_be_an_account_is_told_by_field(office: Office, request_: Register, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await office.parts.registration.register(request_)
    assert caught.value.details == {"param": param}


async def test_who_asks_for_many_names_has_to_wait(office: Office) -> None:
    await office.register()
    told = 0
    with suppress(RateLimited):
        for _ in range(100):
            with pytest.raises(Conflict):
                await office.register()
            told += 1
    assert told == TOLD.free
    with pytest.raises(RateLimited) as caught:
        await office.register("free")
    office.clock.advance(caught.value.details["retry_after_s"])
    await office.register("free")


class TestClosed:
    @pytest.fixture
    def settings(self) -> AuthSettings:
        return AuthSettings(registration="closed")

    async def test_no_account_is_made(self, office: Office) -> None:
        for more in ({}, {"code": "hc_whatever"}):
            with pytest.raises(Forbidden, match="closed"):
                await office.register(**more)


class TestByInvitation:
    @pytest.fixture
    def settings(self) -> AuthSettings:
        return AuthSettings(registration="invite")

    async def test_it_takes_one(self, office: Office) -> None:
        with pytest.raises(Forbidden, match="invitation") as caught:
            await office.register()
        assert caught.value.details == {"param": "code"}
