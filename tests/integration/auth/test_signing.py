"""The keys that sign sessions: kept beside the database, never silently replaced, and a new one every month."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select

from hyperinfer.contracts.directory import SIGNING
from hyperinfer.errors import IdentityError, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.protocol.session_tokens import key_id_of
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import SigningKeyRow
from hyperinfer.workers.auth.parts import parts_on
from hyperinfer.workers.auth.signing import LEAD, MARGIN

from .conftest import Office

DAY_S = 24 * 3600
LEAD_S = LEAD.total_seconds()


def seeds(data: Path) -> set[str]:
    return {path.stem for path in (data / "jwt").iterdir()}


def seed_file(data: Path) -> Path:
    [path] = (data / "jwt").iterdir()
    return path


async def test_it_stays_over_a_restart_and_is_the_owners_alone(office: Office) -> None:
    await office.register()
    token = (await office.login()).access_token
    path = seed_file(office.data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    async with parts_on(office.data, office.settings, office.clock) as again:
        await again.sessions.verify(token)
    assert seed_file(office.data) == path


async def test_its_seed_is_not_in_the_database(office: Office) -> None:
    seed = seed_file(office.data).read_bytes()
    for file in office.data.glob("*.sqlite*"):
        content = file.read_bytes()
        assert seed not in content
        assert seed.hex().encode() not in content


async def test_one_that_is_gone_is_replaced_aloud_and_its_sessions_end(office: Office) -> None:
    await office.register()
    token = (await office.login()).access_token
    old = seed_file(office.data)
    old.unlink()
    await office.login()  # it is known still, to who runs
    with structlog.testing.capture_logs() as logs:
        async with parts_on(office.data, office.settings, office.clock) as again:
            with pytest.raises(Unauthenticated):
                await again.sessions.verify(token)
            assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["signing_key_lost"]
    new = seed_file(office.data)
    assert new != old
    told = await office.told()
    assert told[(SIGNING, old.stem)] is None
    assert told[(SIGNING, new.stem)] is not None
    with pytest.raises(Unauthenticated):
        await office.sessions.verify(token)
    await office.parts.signing.keep()
    assert key_id_of((await office.login()).access_token) == new.stem
    assert ("signing_key.lost", "ok") in await office.audited()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"short"), "damaged"),
        (lambda path: path.write_bytes(b"x" * 32), "not the one"),
        (lambda path: path.chmod(0o644), "chmod 600"),
    ],
)
async def test_one_that_is_damaged_or_open_stops_the_start(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    async with parts_on(tmp_path, AuthSettings(), SystemClock()):
        pass
    spoil(seed_file(tmp_path))
    with pytest.raises(IdentityError, match=reason):
        async with parts_on(tmp_path, AuthSettings(), SystemClock()):
            pass


async def test_a_new_one_is_told_before_it_signs_and_the_old_one_until_its_last_token_has_expired(
    office: Office,
) -> None:
    signing = office.parts.signing
    await office.register()
    [old] = seeds(office.data)
    office.clock.advance(30 * DAY_S - LEAD_S - 1)
    await signing.keep()
    assert seeds(office.data) == {old}
    office.clock.advance(1)
    await signing.keep()
    [new] = seeds(office.data) - {old}
    assert {name for kind, name in await office.told() if kind == SIGNING} == {old, new}
    office.clock.advance(LEAD_S - 1)
    await signing.keep()
    last = (await office.login()).access_token
    assert key_id_of(last) == old
    office.clock.advance(1)
    assert key_id_of((await office.login()).access_token) == new
    await signing.keep()
    assert seeds(office.data) == {new}
    office.clock.advance(DAY_S - 2)
    await signing.keep()
    await office.sessions.verify(last)
    office.clock.advance(MARGIN.total_seconds() + 2)
    await signing.keep()
    assert (await office.told())[(SIGNING, old)] is None
    assert [jwk["kid"] for jwk in (await signing.jwks()).keys] == [new]
    actions = [action for action, _ in await office.audited() if action.startswith("signing_key")]
    assert actions == [f"signing_key.{what}" for what in ("made", "made", "retired", "dropped")]


async def test_two_auths_on_one_folder_make_one_new_key_and_sign_with_it(office: Office) -> None:
    await office.register()
    async with parts_on(office.data, office.settings, office.clock) as other:
        both = (office.parts.signing, other.signing)
        office.clock.advance(30 * DAY_S)
        await asyncio.gather(*(signing.keep() for signing in both))
        office.clock.advance(LEAD_S)
        await asyncio.gather(*(signing.keep() for signing in both))
        assert len(seeds(office.data)) == 1
        async with office.database.read() as rows:
            keys = {row.id: row.retired_at for row in await rows.scalars(select(SigningKeyRow))}
        assert len(keys) == 2
        [new] = [name for name, retired_at in keys.items() if retired_at is None]
        assert key_id_of((await office.login()).access_token) == new
        await other.sessions.verify((await office.login()).access_token)


async def test_after_a_long_time_away_the_old_key_signs_until_gateways_know_the_new_one(office: Office) -> None:
    await office.register()
    [old] = seeds(office.data)
    office.clock.advance(400 * DAY_S)
    async with parts_on(office.data, office.settings, office.clock) as again:
        assert len(seeds(office.data)) == 2
        await office.parts.signing.keep()
        assert key_id_of((await office.login()).access_token) == old
        office.clock.advance(LEAD_S)
        await again.signing.keep()
        await office.parts.signing.keep()
        token = (await office.login()).access_token
        assert key_id_of(token) != old
        await again.sessions.verify(token)
