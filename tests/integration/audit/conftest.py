"""An audit log on a real database of each kind, by a clock that the test turns, and whoever can write to the database."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.audit import AuditHead
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.facilities.store.engine import writing
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.audit import heads, marks
from hyperinfer.workers.auth.audit.key import audit_key, read_key
from hyperinfer.workers.auth.audit.log import AuditLog
from hyperinfer.workers.auth.audit.verify import verify
from hyperinfer.workers.auth.audit.walk import Verdict
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.store import MIGRATIONS

GATEWAY = "ab" * 32


@dataclass
class Books:
    """Auth's database and log, as auth writes them and as somebody with the database's password does."""

    engine: AsyncEngine
    database: AuthDatabase
    clock: ManualClock
    data: Path
    url: str

    @property
    def log(self) -> AuditLog:
        return AuditLog(self.database)

    async def person(self, name: str = "ada") -> str:
        """A new account, audited as registering is."""
        user_id = str(uuid.uuid4())
        async with self.database.change(self.origin()) as change:
            change.session.add(
                User(
                    id=user_id,
                    username=name,
                    email=f"{name}@example.org",
                    password_hash="",
                    role="user",
                    tier="default",
                    created_at=self.clock.now(),
                    is_active=True,
                    limits=None,
                    last_login_at=None,
                )
            )
            await change.session.flush()
            await change.audit("account.registered", target=user_id)
        return user_id

    async def remove(self, user_id: str) -> None:
        """Removing an account, as auth does it."""
        async with self.database.change(self.origin(user_id)) as change:
            await change.audit("account.deleted", target=user_id)
            await change.session.delete(await change.session.get_one(User, user_id))

    async def write(self, rows: int, *, by: str | None = None, action: str = "key.created") -> None:
        """So many rows, a second apart."""
        for number in range(rows):
            self.clock.advance(1)
            await self.database.note(self.origin(by), action, outcome="ok", details={"n": str(number)})

    def origin(self, user_id: str | None = None) -> Origin:
        actor = Actor(user_id=user_id) if user_id else None
        return Origin(actor=actor, remote="127.0.0.1", gateway=GATEWAY, request_id="r1")

    async def sql(self, *statements: str, **values: Any) -> None:
        """Whatever somebody does to the database who is not auth."""
        async with writing(self.engine).begin() as connection:
            for statement in statements:
                named = {name: value for name, value in values.items() if f":{name}" in statement}
                await connection.execute(text(statement), named)

    async def verify(self, heads_given: Sequence[AuditHead] = ()) -> Verdict:
        """What `hyperinfer audit verify` would say."""
        known = marks.read(self.data)
        published = heads.standing(heads.read(self.data).heads, known)
        return await verify(
            self.database, read_key(self.data), heads=[*published, *heads_given], begin=marks.begin(known)
        )

    async def kinds(self) -> list[str]:
        """The kinds of problems that verifying finds."""
        return [problem.kind for problem in (await self.verify()).problems]

    async def publish(self) -> AuditHead:
        """Publish the head as the keeper does."""
        head = await heads.newest(self.database, self.clock.now())
        assert head is not None
        heads.append(self.data, head)
        return head


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Auth's data folder."""
    folder = tmp_path / "auth"
    folder.mkdir()
    return folder


@pytest.fixture
async def books(database_url: str, tmp_path: Path, data: Path) -> AsyncIterator[Books]:
    clock = ManualClock()
    async with opened(url_of(database_url, default=tmp_path / "unused")) as engine:
        await migrate(engine, MIGRATIONS)
        key = await audit_key(engine, data)
        yield Books(engine, AuthDatabase(engine, clock=clock, audit_key=key), clock, data, database_url)
