"""Auth's service on a real SQLite database, by a clock that the test turns."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperinfer.contracts.auth import Register, Registered
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.admin import service_on
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.service import AuthService
from hyperinfer.workers.auth.store import AuthStore

PASSWORD = "correct horse battery"


class Office:
    """A service, its store and its clock."""

    def __init__(self, service: AuthService, store: AuthStore, clock: ManualClock) -> None:
        self.service = service
        self.store = store
        self.clock = clock

    async def person(self, name: str = "ada") -> Registered:
        return await self.service.register(Register(email=f"{name}@example.org", password=PASSWORD))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    clock = ManualClock(datetime(2026, 11, 1, tzinfo=UTC))
    async with service_on(tmp_path, AuthSettings(), clock) as (service, store):
        yield Office(service, store, clock)
