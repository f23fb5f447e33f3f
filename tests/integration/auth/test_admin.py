"""The first administrator, made on the machine itself."""

import asyncio
from pathlib import Path

import pytest

from hyperinfer.contracts.auth import Login
from hyperinfer.contracts.directory import USER, Since
from hyperinfer.errors import BadRequest, NotFound, StartError, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.admin import SCOPES, admin_key, create_admin, has_admin, reset_password
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import parts_on

SETTINGS = AuthSettings(registration="closed")


async def test_the_first_admin_is_made_and_can_do_everything_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data" / "auth"
    assert not await has_admin(data, SETTINGS)
    assert await admin_key(data, SETTINGS, name="cli") is None
    made = await create_admin(data, SETTINGS)
    assert (made.account.role, made.account.tier) == ("admin", "unlimited")
    assert made.key
    assert made.password not in repr(made)
    assert made.key not in repr(made)
    assert await has_admin(data, SETTINGS)
    another = await admin_key(data, SETTINGS, name="cli")
    assert another
    async with parts_on(data, SETTINGS, SystemClock()) as parts:
        session = await parts.sessions.login(Login(username="admin", password=made.password))
        assert session.account.id == made.account.id
        for key in (made.key, another):
            who = (await parts.keys.validate(key)).principal
            assert (who.role, who.scopes) == ("admin", SCOPES)


async def test_a_lost_password_is_replaced_sessions_end_and_keys_stay(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await reset_password(tmp_path, SETTINGS)
    made = await create_admin(tmp_path, SETTINGS)
    async with parts_on(tmp_path, SETTINGS, SystemClock()) as parts:
        session = await parts.sessions.login(Login(username="admin", password=made.password))
    again = await reset_password(tmp_path, SETTINGS)
    assert (again.account.id, again.key) == (made.account.id, None)
    chosen = await create_admin(tmp_path, SETTINGS, password="another good password")
    assert (chosen.account.id, chosen.key) == (made.account.id, None)
    async with parts_on(tmp_path, SETTINGS, SystemClock()) as parts:
        for old in (made.password, again.password):
            with pytest.raises(Unauthenticated):
                await parts.sessions.login(Login(username="admin", password=old))
        await parts.sessions.login(Login(username="admin", password="another good password"))
        await parts.keys.validate(made.key or "")
        with pytest.raises(Unauthenticated):
            await parts.sessions.verify(session.access_token)


async def test_a_password_of_ones_own_is_held_to_the_policy(tmp_path: Path) -> None:
    for _ in ("before there is one", "and after"):
        with pytest.raises(BadRequest):
            await create_admin(tmp_path, SETTINGS, password="short")
        await create_admin(tmp_path, SETTINGS)


async def test_an_admin_is_made_while_auth_runs_on_the_same_folder(tmp_path: Path) -> None:
    async with parts_on(tmp_path, SETTINGS, SystemClock()) as parts:
        made = await create_admin(tmp_path, SETTINGS)
        assert (await parts.keys.validate(made.key or "")).principal.username == "admin"
        session = await parts.sessions.login(Login(username="admin", password=made.password))
        await parts.sessions.verify(session.access_token)


async def test_a_running_auth_tells_gateways_of_it_within_a_second(tmp_path: Path) -> None:
    async with parts_on(tmp_path, SETTINGS, SystemClock()) as parts:
        pages = parts.feed.watch(Since())
        page = await anext(pages)
        made = await create_admin(tmp_path, SETTINGS)
        async with asyncio.timeout(10):
            while (USER, made.account.id) not in {(change.kind, change.id) for change in page.changes}:
                page = await anext(pages)
        await pages.aclose()


async def test_of_several_who_start_on_an_empty_folder_all_succeed(tmp_path: Path) -> None:
    assert await asyncio.gather(*(has_admin(tmp_path, SETTINGS) for _ in range(4))) == [False] * 4
    assert len(list((tmp_path / "jwt").iterdir())) == 1


async def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="data folder"):
        await has_admin(tmp_path / "file" / "auth", SETTINGS)
