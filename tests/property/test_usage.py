"""Sums of usage: however deliveries are cut into batches, repeated, mixed and raced, they come to the same."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import ApiKeyRow, UsageStats, User
from hyperinfer.workers.auth.store import MIGRATIONS
from hyperinfer.workers.auth.usage.config import Price, UsageSettings
from hyperinfer.workers.auth.usage.ledger import Ledger
from hyperinfer.workers.auth.usage.prices import Prices

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICED = UsageSettings(prices={"m": Price(prompt_per_million=0.02, completion_per_million=1.5)})


class Books:
    """A ledger on SQLite, and the loop that it runs on."""

    def __init__(self, runner: asyncio.Runner, database: AuthDatabase) -> None:
        self.run = runner.run
        self.database = database
        self.ledger = Ledger(database, clock=ManualClock(NOW), settings=PRICED)

    async def person(self) -> tuple[str, str]:
        """An account and its key."""
        user_id, key_id = str(uuid.uuid4()), str(uuid.uuid4())
        nobodys: dict[str, Any] = {"limits": None, "created_at": NOW, "is_active": True}
        person = {"username": user_id, "email": user_id, "password_hash": "", "role": "user", "tier": "default"}
        key: dict[str, Any] = {
            "public_id": key_id[:8],
            "key_hash": "",
            "name": "",
            "expires_at": None,
            "scopes": [],
            "models": [],
        }
        async with self.database.write() as session:
            session.add(User(id=user_id, last_login_at=None, **person, **nobodys))
            await session.flush()
            session.add(ApiKeyRow(id=key_id, user_id=user_id, last_used_at=None, **key, **nobodys))
        return user_id, key_id

    async def sums(self, user_id: str) -> Counter[tuple[str, str | None]]:
        """What has been summed for an account, by what and by which day and key."""
        async with self.database.read() as session:
            rows = (await session.scalars(select(UsageStats).where(UsageStats.user_id == user_id))).all()
        found: Counter[tuple[str, str | None]] = Counter()
        for row in rows:
            for name in ("request_count", "error_count", "prompt_tokens", "completion_tokens", "tokens_used"):
                found[(f"{name} {row.date}", row.api_key_id)] += getattr(row, name)
            found[("cost", None)] += row.cost_nanos
        return found


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    path: Path = tmp_path_factory.mktemp("usage") / "auth.sqlite"
    with asyncio.Runner() as runner:
        opening = opened(url_of(None, default=path))
        engine = runner.run(opening.__aenter__())
        runner.run(migrate(engine, MIGRATIONS))
        yield Books(runner, AuthDatabase(engine, clock=ManualClock(NOW), audit_key=b"k" * 32))
        runner.run(opening.__aexit__(None, None, None))


one = st.tuples(
    st.sampled_from(["success", "error", "timeout", "cancelled"]),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2**31),
    st.integers(0, 2**31),
    st.sampled_from(["m", "n"]),
)


@settings(max_examples=60, deadline=None)
@given(told=st.lists(one, max_size=12), data=st.data())
def test_any_way_of_delivering_comes_to_the_same(
    books: Books, told: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    user_id, key_id = books.run(books.person())
    records = [
        UsageRecord(
            id=str(uuid.uuid4()),
            user_id=user_id,
            api_key_id=key_id if has_key else None,
            started_at=NOW - timedelta(days=days),
            status=status,
            model=model,
            prompt_tokens=prompt,
            completion_tokens=completion,
        )
        for status, has_key, days, prompt, completion, model in told
    ]
    # Each is delivered at least once, in any order, by batches that overlap; some of them at the same time.
    numbers = data.draw(st.permutations(range(len(records))))
    again = data.draw(st.lists(st.sampled_from(range(len(records))), max_size=12)) if records else []
    order = [*numbers, *again]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4)))
    batches = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    at_once = data.draw(st.integers(1, 3))

    async def deliver() -> None:
        for first in range(0, len(batches), at_once):
            async with asyncio.TaskGroup() as group:
                for batch in batches[first : first + at_once]:
                    group.create_task(books.ledger.record([records[n] for n in batch], gateway="g"))

    books.run(deliver())
    prices = Prices(PRICED)
    expected: Counter[tuple[str, str | None]] = Counter()
    for record in records:
        day, key = record.started_at.date(), record.api_key_id
        used = {
            "request_count": 1,
            "error_count": record.status in {"error", "timeout"},
            "prompt_tokens": record.prompt_tokens,
            "completion_tokens": record.completion_tokens,
            "tokens_used": record.prompt_tokens + record.completion_tokens,
        }
        for name, count in used.items():
            expected[(f"{name} {day}", key)] += count
        tokens = {"prompt_tokens": record.prompt_tokens, "completion_tokens": record.completion_tokens}
        expected[("cost", None)] += prices.cost_nanos(record.model, **tokens) or 0
    assert +books.run(books.sums(user_id)) == +expected
