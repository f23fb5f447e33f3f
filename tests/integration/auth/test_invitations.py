"""Invitations of people, on a real database."""

import asyncio

import pytest
from sqlalchemy import select, update

from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import InvitePerson, OfInvite
from hyperinfer.errors import BadRequest, Conflict, Forbidden, NotFound
from hyperinfer.protocol import api_keys, one_time
from hyperinfer.workers.auth import invites as module
from hyperinfer.workers.auth.config import AuthSettings, TierSettings
from hyperinfer.workers.auth.models import PersonInviteRow

from .conftest import Office

DAY_S = 24 * 3600


@pytest.fixture(params=["open", "invite"])
def settings(request: pytest.FixtureRequest) -> AuthSettings:
    return AuthSettings(registration=request.param, tiers=TierSettings())


async def test_an_invitation_gives_role_and_tier_once(office: Office) -> None:
    root = await office.admin()
    invite = office.parts.invitations.invite
    made = await invite(InvitePerson(role="admin", tier="premium"), root.origin)
    assert made.code is not None
    assert made.code.startswith("hc_")
    assert (made.state, made.expires_at) == ("open", "2026-11-08T00:00:00Z")
    registered = await office.register("ada", code=made.code)
    assert (registered.account.role, registered.account.tier) == ("admin", "premium")
    with pytest.raises(Forbidden, match="invitation"):
        await office.register("bob", code=made.code)
    [listed] = (await office.parts.invitations.listed(Nothing(), root.origin)).invites
    assert (listed.id, listed.state, listed.code) == (made.id, "used", None)
    with pytest.raises(Conflict, match="used"):
        await office.parts.invitations.revoke(OfInvite(id=made.id), root.origin)


async def test_of_many_who_use_one_at_once_one_does(office: Office) -> None:
    root = await office.admin()
    code = (await office.parts.invitations.invite(InvitePerson(), root.origin)).code or ""
    asked = (office.register(f"person{number}", code=code) for number in range(6))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Forbidden) for result in results) == 5


async def test_one_for_an_email_is_for_that_email_alone(office: Office) -> None:
    root = await office.admin()
    code = (await office.parts.invitations.invite(InvitePerson(email=" Ada@Example.org"), root.origin)).code or ""
    with pytest.raises(Forbidden):
        await office.register("eve", code=code)
    await office.register("ada", code=code)
    with pytest.raises(Conflict):
        await office.parts.invitations.invite(InvitePerson(email="ada@example.org"), root.origin)


async def test_what_failed_for_another_reason_has_not_used_it(office: Office) -> None:
    root = await office.admin()
    code = (await office.parts.invitations.invite(InvitePerson(), root.origin)).code or ""
    with pytest.raises(Conflict):
        await office.register("root", username="admin2", code=code)
    await office.register("ada", code=code)


async def test_used_revoked_expired_and_made_up_ones_are_told_alike(office: Office) -> None:
    root = await office.admin()
    invite, revoke = office.parts.invitations.invite, office.parts.invitations.revoke
    used = await invite(InvitePerson(), root.origin)
    await office.register("ada", code=used.code or "")
    revoked = await invite(InvitePerson(), root.origin)
    for _ in range(2):
        assert (await revoke(OfInvite(id=revoked.id), root.origin)).state == "revoked"
    expired = await invite(InvitePerson(valid_s=60), root.origin)
    office.clock.advance(60)
    refusals = set()
    for code in (used.code, revoked.code, expired.code, one_time.mint("hc_"), one_time.mint("hr_"), "x", "nul\0"):
        with pytest.raises(Forbidden) as caught:
            await office.register("bob", code=code or "")
        refusals.add((caught.value.message, str(caught.value.details)))
    assert len(refusals) == 1
    states = {one.id: one.state for one in (await office.parts.invitations.listed(Nothing(), root.origin)).invites}
    assert states == {used.id: "used", revoked.id: "revoked", expired.id: "expired"}


async def test_one_of_a_tier_that_is_configured_no_more_gives_the_default_one(office: Office) -> None:
    root = await office.admin()
    code = (await office.parts.invitations.invite(InvitePerson(tier="premium"), root.origin)).code or ""
    async with office.database.write() as rows:
        await rows.execute(update(PersonInviteRow).values(tier="gone"))
    assert (await office.register("ada", code=code)).account.tier == "default"


async def test_only_its_digest_is_kept(office: Office) -> None:
    root = await office.admin()
    code = (await office.parts.invitations.invite(InvitePerson(), root.origin)).code or ""
    async with office.database.read() as rows:
        row = (await rows.scalars(select(PersonInviteRow))).one()
    assert row.code_hash == api_keys.digest(code)
    assert code not in str(vars(row))


async def test_it_takes_an_administrator_a_tier_that_there_is_and_room(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    root = await office.admin()
    with pytest.raises(BadRequest, match="tier"):
        await office.parts.invitations.invite(InvitePerson(tier="nonsense"), root.origin)
    with pytest.raises(BadRequest, match="e-mail"):
        await office.parts.invitations.invite(InvitePerson(email="nonsense"), root.origin)
    made = [await office.parts.invitations.invite(InvitePerson(), root.origin) for _ in range(2)]
    with pytest.raises(Conflict, match="open"):
        await office.parts.invitations.invite(InvitePerson(), root.origin)
    for wrong in ("x", "nul\0", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            await office.parts.invitations.revoke(OfInvite(id=wrong), root.origin)
    await office.parts.invitations.revoke(OfInvite(id=made[0].id), root.origin)
    await office.parts.invitations.invite(InvitePerson(), root.origin)
