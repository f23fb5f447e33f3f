"""Auth on a real database of each kind, by a clock that the test turns, asked as gateways ask it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jwt
import msgspec
import pytest
from sqlalchemy import select

from hyperinfer.contracts import people
from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.auth import Login, Principal, Register, Registered
from hyperinfer.contracts.directory import Since
from hyperinfer.contracts.people import Account, NewApiKey, Session
from hyperinfer.protocol import session_tokens
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.parts import Parts, parts_on
from hyperinfer.workers.auth.registration import Newcomer

PASSWORD = "correct horse battery"
HOME = "192.0.2.1"
GATEWAY = "ab" * 32
START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """Somebody with an account, a key and a session."""

    account: Account
    key: NewApiKey
    session: Session

    @property
    def id(self) -> str:
        return self.account.id

    @property
    def session_id(self) -> str:
        return claims_of(self.session.access_token).jti

    @property
    def origin(self) -> Origin:
        """What this person asks under the session."""
        return from_(HOME, Actor(user_id=self.id, session_id=self.session_id))

    @property
    def by_key(self) -> Origin:
        """What this person asks with the API key."""
        return self.with_key(self.key)

    def with_key(self, key: NewApiKey) -> Origin:
        return from_(HOME, Actor(user_id=self.id, key_id=key.id))


class Office:
    """Auth's parts, its clock, its data folder and its database."""

    def __init__(self, parts: Parts, clock: ManualClock, data: Path, settings: AuthSettings) -> None:
        self.parts = parts
        self.keys = parts.keys
        self.sessions = parts.sessions
        self.database = parts.database
        self.clock = clock
        self.data = data
        self.settings = settings

    async def register(self, name: str = "ada", **more: str) -> Registered:
        request = Register(email=f"{name}@example.org", password=PASSWORD, **more)
        return await self.parts.registration.register(request, from_(HOME))

    async def login(self, name: str = "ada", password: str = PASSWORD, *, remote: str = HOME) -> Session:
        return await self.parts.sessions.login(Login(password=password, username=name), from_(remote))

    async def person(self, name: str = "ada") -> Person:
        made = await self.register(name)
        return Person(made.account, made.key, await self.login(name))

    async def who(self, key: str) -> Principal:
        return (await self.keys.validate(key)).principal

    async def admin(self, name: str = "root") -> Person:
        """An administrator, with a session and a key that may do everything."""
        newcomer = Newcomer(f"{name}@example.org", name, PASSWORD, role="admin", tier="unlimited")
        made = await self.parts.registration.add(newcomer, scopes=people.SCOPES)
        return Person(made.account, made.key, await self.login(name))

    async def audited(self) -> list[tuple[str, str]]:
        """Action and outcome of every row of the audit log."""
        await self.parts.notes.written()
        async with self.database.read() as rows:
            found = await rows.scalars(select(AuditLogRow).order_by(AuditLogRow.seq))
            return [(row.action, row.outcome) for row in found]

    async def told(self) -> dict[tuple[str, str], object]:
        """What the directory says of each record."""
        page = await self.parts.feed.since(Since())
        assert not page.more
        return {(change.kind, change.id): msgspec.json.decode(change.record) for change in page.changes}


def from_(remote: str, actor: Actor | None = None) -> Origin:
    return Origin(actor=actor, remote=remote, gateway=GATEWAY)


def claims_of(token: str) -> session_tokens.Claims:
    """What a token says, unverified."""
    return msgspec.convert(jwt.decode(token, options={"verify_signature": False}), session_tokens.Claims)


@pytest.fixture
def settings() -> AuthSettings:
    return AuthSettings()


@pytest.fixture
async def office(tmp_path: Path, database_url: str, settings: AuthSettings) -> AsyncIterator[Office]:
    clock = ManualClock(START)
    settings = msgspec.structs.replace(settings, database_url=database_url)
    async with parts_on(tmp_path, settings, clock) as parts:
        yield Office(parts, clock, tmp_path, settings)
