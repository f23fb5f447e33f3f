"""A ledger on a real database of each kind, by a clock that the test turns, with people and keys to account for."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uuid_utils
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.contracts.usage import RequestQuery, RequestRow, UsageQuery, UsageRecord, UsageReport
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import ApiKeyRow, UsageStats, User
from hyperinfer.workers.auth.store import MIGRATIONS
from hyperinfer.workers.auth.usage.config import Price, UsageSettings
from hyperinfer.workers.auth.usage.parts import UsageParts
from hyperinfer.workers.auth.usage.reach import EVERYBODY, Reach

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GATEWAY = "ab" * 32
SETTINGS = UsageSettings(
    prices={"smol": Price(prompt_per_million=0.5, completion_per_million=2.0), "free": Price()}, currency="EUR"
)


@dataclass
class Office:
    """Auth's database, and the parts that account on it."""

    engine: AsyncEngine
    database: AuthDatabase
    clock: ManualClock
    usage: UsageParts

    async def person(self, name: str = "ada") -> str:
        user_id = str(uuid.uuid4())
        async with self.database.write() as session:
            session.add(
                User(
                    id=user_id,
                    username=name,
                    email=f"{name}@example.org",
                    password_hash="",
                    role="user",
                    tier="default",
                    created_at=NOW,
                    is_active=True,
                    limits=None,
                    last_login_at=None,
                )
            )
        return user_id

    async def key(self, user_id: str, name: str = "default") -> str:
        key_id = str(uuid.uuid4())
        async with self.database.write() as session:
            session.add(
                ApiKeyRow(
                    id=key_id,
                    user_id=user_id,
                    public_id=key_id[:8],
                    key_hash="",
                    name=name,
                    created_at=NOW,
                    expires_at=None,
                    last_used_at=None,
                    is_active=True,
                    scopes=["inference", "usage"],
                    models=[],
                    limits=None,
                )
            )
        return key_id

    async def remove(self, user_id: str) -> None:
        """Remove an account, as auth does it."""
        async with self.database.write() as session:
            await session.delete(await session.get_one(User, user_id))

    async def take(self, *records: UsageRecord) -> None:
        """Take records in, all of which make sense."""
        reply = await self.usage.ledger.record(records, gateway=GATEWAY)
        assert reply.refused == {}
        assert set(reply.ids) == {record.id for record in records}

    async def report(self, reach: Reach = EVERYBODY, **query: Any) -> UsageReport:
        return await self.usage.reports.of(UsageQuery(**query), reach)

    async def logged(self, reach: Reach = EVERYBODY, **query: Any) -> tuple[RequestRow, ...]:
        return (await self.usage.requests.of(RequestQuery(**query), reach)).requests

    async def stats(self) -> list[UsageStats]:
        async with self.database.read() as session:
            return list((await session.scalars(select(UsageStats).order_by(UsageStats.date, UsageStats.id))).all())

    async def last_used(self, key_id: str) -> datetime | None:
        async with self.database.read() as session:
            return (await session.get_one(ApiKeyRow, key_id)).last_used_at


def record(
    user_id: str, key_id: str | None = None, *, ago: timedelta = timedelta(), tokens: int = 10, **more: Any
) -> UsageRecord:
    """One request, of 2 tokens of prompt and so many of completion."""
    fields: dict[str, Any] = {
        "id": str(uuid_utils.uuid7()),
        "user_id": user_id,
        "api_key_id": key_id,
        "started_at": NOW - ago,
        "status": "success",
        "model": "smol",
        "prompt_tokens": 2,
        "completion_tokens": tokens,
        "prompt_hash": "cd" * 32,
        "duration_ms": 12.5,
    }
    return UsageRecord(**{**fields, **more})


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    clock = ManualClock(NOW)
    async with opened(url_of(database_url, default=tmp_path / "unused")) as engine:
        await migrate(engine, MIGRATIONS)
        database = AuthDatabase(engine, clock=clock, audit_key=b"k" * 32)
        usage = UsageParts.on(database, replica=None, clock=clock, settings=SETTINGS)
        yield Office(engine, database, clock, usage)
