"""Each request has one record that says how it ended, and gives back what it held, whatever ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import Raw
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import BackendFailed, DeadlineExceeded, RateLimited, Unavailable
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.accounting import Accounting
from hyperinfer.workers.gateway.asked import read
from hyperinfer.workers.gateway.config import MeterSettings
from hyperinfer.workers.gateway.journal import Journal, JournalSettings, PromptHash
from hyperinfer.workers.gateway.limiting.memory import MemoryLimiter
from hyperinfer.workers.gateway.meters import Meters

ASKED = read(Raw(b'{"messages":[{"role":"user","content":"hi"}]}'))
ONE_AT_A_TIME = (Subject(id="user:u", limits=Limits(concurrent_requests=1)),)
ALLOWED_S = 10.0


class Desk:
    def __init__(self, folder: Path, *, most: int = 100) -> None:
        self.clock, self.registry = ManualClock(), CollectorRegistry()
        self.limiter = MemoryLimiter(self.clock, max_logged=1000, keep=lambda _: None)
        self.journal = Journal(folder, clock=self.clock, settings=JournalSettings(max_undelivered=most))
        self.accounting = Accounting(
            self.limiter,
            self.journal,
            PromptHash(b"k" * 32),
            clock=self.clock,
            meters=Meters(self.registry, self.clock, MeterSettings()),
        )

    async def ask(self, work: Callable[[], Awaitable[None]]) -> None:
        who = Principal(user_id="u", username="ada", email="ada@example.com", subjects=ONE_AT_A_TIME)
        deadline = self.clock.monotonic() + ALLOWED_S
        call = Call(caller=b"", roles=frozenset(), meta=Meta(request_id="r-1"), deadline=deadline, who=who)
        async with self.accounting.counted(call, ASKED, model="m", kind="chat"):
            await work()

    async def settled(self) -> tuple[str, str | None]:
        (record, *more), _ = await self.journal.backlog.oldest(10)
        assert not more
        return record.status, record.error_code


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    await desk.journal.open()
    return desk


async def nothing() -> None:
    """An answer that is whole."""


async def test_an_answer_is_a_success(desk: Desk) -> None:
    await desk.ask(nothing)
    assert await desk.settled() == ("success", None)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendFailed("It broke."), ("error", "BACKEND_FAILED")),
        (DeadlineExceeded("Too late."), ("timeout", "DEADLINE_EXCEEDED")),
        (asyncio.CancelledError(), ("cancelled", None)),
        (ZeroDivisionError(), ("error", "INTERNAL")),
    ],
)
async def test_an_error_is_told_by_what_it_is(desk: Desk, error: BaseException, told: tuple[str, str | None]) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await desk.ask(fail)
    assert await desk.settled() == told


async def test_what_is_cancelled_after_its_deadline_was_too_slow(desk: Desk) -> None:
    async def dawdle() -> None:
        desk.clock.advance(ALLOWED_S)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await desk.ask(dawdle)
    assert await desk.settled() == ("timeout", "DEADLINE_EXCEEDED")


async def test_a_place_is_held_as_long_as_it_lasts(desk: Desk) -> None:
    async def ask_again() -> None:
        with pytest.raises(RateLimited):
            await desk.ask(nothing)

    await desk.ask(ask_again)
    await desk.ask(nothing)


async def test_what_cannot_be_written_down_holds_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most=1)
    await desk.journal.open()
    await desk.ask(nothing)
    for _ in range(2):  # the second would be one too many at a time
        with pytest.raises(Unavailable):
            await desk.ask(nothing)
