"""Who asks auth for a change and hangs up leaves it whole or not at all, and nothing behind, whenever it is."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uuid_utils
from argon2 import PasswordHasher
from sqlalchemy import Engine, func, select
from sqlalchemy.pool import QueuePool

from hyperinfer.contracts.auth import Login, Register
from hyperinfer.contracts.people import ChangePassword, GenerateApiKey, WithPassword
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.store.engine import endings_of
from hyperinfer.testing.cancelling import interrupt
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.auth import passwords
from hyperinfer.workers.auth.audit.key import read_key
from hyperinfer.workers.auth.audit.verify import verify
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import ApiKeyRow, Heads, RequestLog, SessionRow, UsageStats, User
from hyperinfer.workers.auth.parts import parts_on

from .conftest import GATEWAY, PASSWORD, START, Office, Person, from_

AT_ONCE_S = 1.0
MANY = 60
MOST_WAITS = 60
Asked = Callable[[Office, Person], Coroutine[Any, Any, Any]]


# --- what is asked ------------------------------------------------------------------------------------------------


async def register(office: Office, ada: Person) -> None:
    request = Register(email=f"friend-of-{ada.account.username}@example.org", password=PASSWORD)
    await office.parts.registration.register(request, from_(f"2001:db8:{ada.account.username}::1"))


async def log_in(office: Office, ada: Person) -> None:
    request = Login(password=PASSWORD, username=ada.account.username)
    await office.parts.sessions.login(request, from_(f"2001:db8:{ada.account.username}::1"))


async def change_password(office: Office, ada: Person) -> None:
    request = ChangePassword(current=PASSWORD, new="another good password")
    await office.parts.accounts.change_password(request, ada.origin)


async def make_a_key(office: Office, ada: Person) -> None:
    await office.keys.generate(GenerateApiKey(name="another"), ada.origin)


async def end_the_account(office: Office, ada: Person) -> None:
    await office.parts.accounts.delete(WithPassword(password=PASSWORD), ada.origin)


async def record_usage(office: Office, ada: Person) -> None:
    records = [
        UsageRecord(
            id=str(uuid_utils.uuid7()),
            user_id=ada.id,
            api_key_id=ada.key.id,
            started_at=office.clock.now(),
            status="success",
            model="smol",
            prompt_tokens=2,
            completion_tokens=3,
            prompt_hash="cd" * 32,
            duration_ms=12.5,
        )
        for _ in range(3)
    ]
    await office.parts.usage.ledger.record(records, gateway=GATEWAY)


ALL: tuple[Asked, ...] = (register, log_in, change_password, make_a_key, end_the_account, record_usage)


# --- what is there afterwards -------------------------------------------------------------------------------------


class Books:
    """What a database holds, in numbers, of which a whole change alters several."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._hashes: set[str] = set()

    async def state(self) -> Counter[str]:
        async with self._office.database.read() as rows:
            heads = (await rows.scalars(select(Heads))).one()
            state = Counter(directory=heads.directory_seq, audit=heads.audit_seq)
            for model in (User, ApiKeyRow, SessionRow, RequestLog):
                state[model.__tablename__] = await rows.scalar(select(func.count()).select_from(model)) or 0
            state["summed up"] = int(await rows.scalar(select(func.sum(UsageStats.request_count))) or 0)
            self._hashes.update(await rows.scalars(select(User.password_hash)))
            state["passwords"] = len(self._hashes)
        return state


def difference(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@asynccontextmanager
async def leaving_nothing(data: Path, database_url: str) -> AsyncIterator[Office]:
    """Auth on a database, which holds together at the end, and closes at once."""
    clock, settings, others = ManualClock(START), AuthSettings(database_url=database_url), asyncio.all_tasks()
    async with parts_on(data, settings, clock) as parts:
        office = Office(parts, clock, data, settings)
        yield office
        async with asyncio.timeout(AT_ONCE_S):
            await office.register("last")
        async with office.database.read() as rows:
            bind = rows.get_bind()
        await endings_of(bind).wait()
        assert isinstance(bind, Engine)
        assert isinstance(bind.pool, QueuePool)
        assert bind.pool.checkedout() == 0
        assert (await verify(office.database, read_key(data))).intact
        began = time.monotonic()
    assert time.monotonic() - began < AT_ONCE_S
    assert asyncio.all_tasks() <= others


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.mark.parametrize("asked", ALL)
@pytest.mark.parametrize(("late", "times"), [(False, 1), (True, 1), (False, 9)], ids=["early", "late", "often"])
async def test_a_change_is_whole_or_not_at_all_at_whichever_wait_it_is_cancelled(
    tmp_path: Path, database_url: str, asked: Asked, late: bool, times: int
) -> None:
    async with leaving_nothing(tmp_path, database_url) as office:
        books, changes = Books(office), []
        for first in itertools.count(1):
            ada = await office.person(f"{first:x}")
            before = await books.state()
            ended = await interrupt(asked(office, ada), first=first, times=times, late=late)
            # The next change waits its turn behind what is still being ended, which is not for long.
            async with asyncio.timeout(AT_ONCE_S), office.database.change():
                pass
            changes.append(difference(before, await books.state()))
            if not ended.reached:
                assert ended.task.exception() is None
                break
            assert ended.task.cancelled()
    whole = changes[-1]
    assert len(whole) >= 2
    assert {first for first, change in enumerate(changes) if change not in ({}, whole)} == set()


async def test_many_changes_at_once_are_cancelled_at_any_time(tmp_path: Path, database_url: str) -> None:
    chance = random.Random(database_url)
    async with leaving_nothing(tmp_path, database_url) as office:
        people = [await office.person(f"{number:x}") for number in range(MANY)]
        interrupted = (
            interrupt(chance.choice(ALL)(office, ada), first=chance.randint(1, MOST_WAITS), times=chance.choice([1, 9]))
            for ada in people
        )
        tasks = [one.task for one in await asyncio.gather(*interrupted)]
        failures = [failure for task in tasks if not task.cancelled() and (failure := task.exception())]
        assert not [failure for failure in failures if not isinstance(failure, Unavailable)]
        async with office.database.read() as rows:
            logged = await rows.scalar(select(func.count()).select_from(RequestLog))
            summed = await rows.scalar(select(func.coalesce(func.sum(UsageStats.request_count), 0)))
            told = await office.told()
            ids = set(await rows.scalars(select(User.id))) | set(await rows.scalars(select(ApiKeyRow.id)))
        assert logged == summed
        assert {id_ for (kind, id_), record in told.items() if kind in {"user", "key"} and record} == ids
