"""Passwords set anew by one-time tokens, on a real database."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import select

from hyperinfer.contracts.people import OfAccount, ResetPassword
from hyperinfer.errors import BadRequest, Forbidden, NotFound, RateLimited, Unauthenticated
from hyperinfer.protocol import api_keys, one_time
from hyperinfer.workers.auth.guesses import TOLD
from hyperinfer.workers.auth.models import PasswordReset

from .conftest import HOME, Office, from_

BETTER = "another good password"


async def test_a_token_sets_a_password_once_and_ends_every_session(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    resets = office.parts.resets
    made = await resets.issue(OfAccount(id=ada.id), root.origin)
    assert made.account_id == ada.id
    assert made.token.startswith("hr_")
    assert made.expires_at == "2026-11-01T01:00:00Z"
    for bad in ("short", "ada@example.org"):
        with pytest.raises(BadRequest):
            await resets.use(ResetPassword(token=made.token, password=bad), from_(HOME))
    await resets.use(ResetPassword(token=made.token, password=BETTER), from_(HOME))
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(ada.session.access_token)
    with pytest.raises(Unauthenticated):
        await office.login()
    await office.login(password=BETTER)
    await office.keys.validate(ada.key.key)
    await office.sessions.verify(root.session.access_token)
    with pytest.raises(Forbidden):
        await resets.use(ResetPassword(token=made.token, password="a third good password"), from_(HOME))
    await office.login(password=BETTER)
    assert {("password.reset_issued", "ok"), ("password.reset", "ok"), ("password.reset", "refused")} <= set(
        await office.audited()
    )


async def test_of_many_who_use_one_token_at_once_one_does(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    token = (await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)).token
    asked = [
        office.parts.resets.use(ResetPassword(token=token, password=f"good password {number}"), from_(str(number)))
        for number in range(6)
    ]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Forbidden) for result in results) == 5
    [number] = [number for number, result in enumerate(results) if not isinstance(result, Forbidden)]
    await office.login(password=f"good password {number}")


async def test_a_token_ends_after_an_hour_and_by_a_newer_one(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    older = await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
    newer = await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
    refusals = set()

    async def refused(token: str) -> None:
        with pytest.raises(Forbidden) as caught:
            await office.parts.resets.use(ResetPassword(token=token, password=BETTER))
        refusals.add((caught.value.message, str(caught.value.details)))

    for token in (older.token, one_time.mint("hr_"), one_time.mint("hc_"), newer.token[:-1], "", "nul\0", "\ud800"):
        await refused(token)
    office.clock.advance(3600)
    await refused(newer.token)
    assert len(refusals) == 1


async def test_only_its_digest_is_kept(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    made = await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
    async with office.database.read() as rows:
        row = (await rows.scalars(select(PasswordReset))).one()
    assert row.token_hash == api_keys.digest(made.token)
    assert made.token not in str(vars(row))


async def test_who_is_no_administrator_issues_none(office: Office) -> None:
    root, ada = await office.admin(), await office.person()
    for origin in (ada.origin, ada.by_key):
        with pytest.raises(Forbidden):
            await office.parts.resets.issue(OfAccount(id=root.id), origin)
    for nobody in ("", "nul\0", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            await office.parts.resets.issue(OfAccount(id=nobody), root.origin)


async def test_tokens_are_not_guessed_for_long(office: Office) -> None:
    tries = 0
    with suppress(RateLimited):
        while True:
            with pytest.raises(Forbidden):
                await office.parts.resets.use(ResetPassword(token="hr_x", password=BETTER), from_(HOME))
            tries += 1
    assert tries == TOLD.free
