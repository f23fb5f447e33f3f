"""The key that signs sessions: kept beside the database, made once, never silently replaced."""

from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select

from hyperinfer.errors import IdentityError, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import SigningKeyRow
from hyperinfer.workers.auth.parts import parts_on
from hyperinfer.workers.auth.signing import signing_key

from .conftest import Office


def seed_file(data: Path) -> Path:
    [path] = (data / "jwt").iterdir()
    return path


async def test_it_stays_over_a_restart_and_is_the_owners_alone(office: Office) -> None:
    await office.person()
    token = (await office.session()).access_token
    path = seed_file(office.data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    async with parts_on(office.data, AuthSettings(), office.clock) as again:
        await again.service.verify_session(token)


async def test_its_seed_is_not_in_the_database(office: Office) -> None:
    seed = seed_file(office.data).read_bytes()
    for file in office.data.glob("auth.sqlite*"):
        content = file.read_bytes()
        assert seed not in content
        assert seed.hex().encode() not in content


async def test_one_that_is_gone_is_replaced_aloud_and_its_sessions_end(office: Office) -> None:
    await office.person()
    token = (await office.session()).access_token
    old = seed_file(office.data)
    old.unlink()
    with structlog.testing.capture_logs() as logs:
        new = await signing_key(office.store, office.data, office.clock)
    assert [line["event"] for line in logs] == ["signing_key_lost"]
    assert seed_file(office.data).name == f"{new.key_id}.key" != old.name
    async with office.store._database.read() as session:
        rows = {row.id: row for row in await session.scalars(select(SigningKeyRow))}
    assert rows[old.stem].retired_at == office.clock.now()
    assert rows[new.key_id].retired_at is None
    async with parts_on(office.data, AuthSettings(), office.clock) as again:
        with pytest.raises(Unauthenticated):
            await again.service.verify_session(token)


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
