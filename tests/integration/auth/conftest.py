"""Auth on a real SQLite database, by a clock that the test turns."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperinfer.contracts.auth import Login, Register, Registered, Session
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import Parts, parts_on

PASSWORD = "correct horse battery"


class Office:
    """Auth's parts, its clock, and its data folder."""

    def __init__(self, parts: Parts, clock: ManualClock, data: Path) -> None:
        self.people = parts.service
        self.keys = parts.keys
        self.store = parts.store
        self.clock = clock
        self.data = data

    async def person(self, name: str = "ada") -> Registered:
        return await self.people.register(Register(email=f"{name}@example.org", password=PASSWORD))

    async def session(self, name: str = "ada") -> Session:
        return await self.people.login(Login(password=PASSWORD, username=name))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    clock = ManualClock(datetime(2026, 11, 1, tzinfo=UTC))
    async with parts_on(tmp_path, AuthSettings(), clock) as parts:
        yield Office(parts, clock, tmp_path)
