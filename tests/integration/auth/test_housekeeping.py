"""What auth forgets, and when, on a real database."""

import asyncio
import uuid
from datetime import timedelta

import bcrypt
import pytest
from sqlalchemy import func, select, update

from hyperinfer.contracts.directory import SESSION, USER, Since, UserRecord
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import InvitePerson, OfAccount
from hyperinfer.testing.eventually import eventually
from hyperinfer.workers.auth import housekeeping
from hyperinfer.workers.auth.housekeeping import KEPT, clean, keep_house
from hyperinfer.workers.auth.models import DirectoryRow, PasswordReset, PersonInviteRow, SessionRow, User
from hyperinfer.workers.auth.signing import LEAD

from .conftest import Office

DAY_S = 24 * 3600


async def count(office: Office, table: type[SessionRow] | type[PasswordReset] | type[PersonInviteRow]) -> int:
    async with office.database.read() as rows:
        return await rows.scalar(select(func.count()).select_from(table)) or 0


async def test_what_ended_is_forgotten_a_month_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    root, ada = await office.admin(), await office.person()
    for _ in range(3):
        await office.login()
    for _ in range(2):
        await office.parts.resets.issue(OfAccount(id=ada.id), root.origin)
        await office.parts.invitations.invite(InvitePerson(valid_s=60), root.origin)
    office.clock.advance(KEPT.total_seconds())
    await clean(office.parts, office.clock)
    assert (await count(office, SessionRow), await count(office, PasswordReset)) == (5, 1)
    office.clock.advance(DAY_S + 1)
    newest = await office.login()
    await clean(office.parts, office.clock)
    assert await count(office, PersonInviteRow) == await count(office, PasswordReset) == 0
    assert await count(office, SessionRow) == 1
    await office.sessions.verify(newest.access_token)


async def test_an_ended_session_is_told_until_its_token_would_have_expired(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    for number in range(5):
        one = await office.person(f"person{number}")
        await office.sessions.logout(Nothing(), one.origin)
        office.clock.advance(1)
    office.clock.advance(DAY_S - 5 - 1)
    await clean(office.parts, office.clock)
    assert sum(kind == SESSION for kind, _ in await office.told()) == 5
    office.clock.advance(3)
    await clean(office.parts, office.clock)
    assert sum(kind == SESSION for kind, _ in await office.told()) == 2


async def test_a_directory_of_what_is_gone_begins_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "MOST_GONE", 5)
    made = await office.register()
    async with office.database.change() as change:
        for number in range(6):
            await change.publish(USER, f"u{number}", UserRecord(username="", email=""))
            await change.publish(USER, f"u{number}", None)
    before = await office.parts.feed.since(Since())
    await clean(office.parts, office.clock)
    after = await office.parts.feed.since(Since(directory=before.directory, seq=before.seq))
    assert after.is_whole
    assert after.directory != before.directory
    assert {change.id for change in after.changes if change.kind == USER} == {made.account.id}
    async with office.database.read() as rows:
        assert not (await rows.scalars(select(DirectoryRow).where(DirectoryRow.record.is_(None)))).all()


async def test_it_is_noticed_when_the_last_hash_of_another_kind_is_gone(office: Office) -> None:
    await office.register()
    async with office.database.write() as rows:
        stored = bcrypt.hashpw(b"whatever it was", bcrypt.gensalt(6)).decode()
        await rows.execute(update(User).values(password_hash=stored))
    await clean(office.parts, office.clock)
    assert office.parts.passwords.rounds == 6
    async with office.database.write() as rows:
        await rows.execute(update(User).values(password_hash="$argon2id$"))
    await clean(office.parts, office.clock)
    assert office.parts.passwords.rounds is None


async def test_it_is_all_done_in_its_time(office: Office) -> None:
    await office.register()
    async with office.database.write() as rows:
        past = office.clock.now() - KEPT - timedelta(days=1)
        user_id = await rows.scalar(select(User.id))
        rows.add(
            SessionRow(
                id=uuid.uuid4().hex,
                user_id=user_id or "",
                created_at=past,
                expires_at=past,
                ended_at=None,
                agent="",
                remote="",
            )
        )
    [old] = (office.data / "jwt").iterdir()
    task = asyncio.create_task(keep_house(office.parts, office.clock))
    try:
        await _tick(office, 30 * DAY_S - LEAD.total_seconds())

        async def is_rotated() -> bool:
            return len(list((office.data / "jwt").iterdir())) == 2

        await eventually(is_rotated)

        async def is_forgotten() -> bool:
            return await count(office, SessionRow) == 0

        await eventually(is_forgotten)
        assert old.exists()
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _tick(office: Office, seconds: float) -> None:
    """Turn the clock once the house is asleep."""

    async def is_asleep() -> bool:
        return bool(office.clock._sleepers)

    await eventually(is_asleep)
    office.clock.advance(seconds)
