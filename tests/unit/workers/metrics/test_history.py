"""Figures over time: written in batches, summed up, looked up, and bounded."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.metrics import Figures, HistoryQuery, ModelFigures, WorkerHealth
from hyperinfer.contracts.metrics import History as Reply
from hyperinfer.errors import BadRequest, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.history.config import DAY_S, HOUR_S, HistorySettings
from hyperinfer.workers.metrics.history.history import History
from hyperinfer.workers.metrics.history.levels import Level, levels_of, plan
from hyperinfer.workers.metrics.history.meters import Meters
from hyperinfer.workers.metrics.history.rows import FIGURES, Row
from hyperinfer.workers.metrics.history.store import ASIDE, FILE, Store

A, B = "a" * 64, "b" * 64
INTERVAL_S = 5.0


class Kept:
    """A history, and a clock that its collections are made by."""

    def __init__(self, folder: Path, clock: ManualClock, settings: HistorySettings) -> None:
        self.clock = clock
        self.registry = CollectorRegistry()
        self.history = History(settings, folder, interval_s=INTERVAL_S, clock=clock, meters=Meters(self.registry))

    def collected(self, *workers: WorkerHealth) -> None:
        self.history.collected(SimpleNamespace(now=self.clock.now(), workers=workers))
        self.clock.advance(INTERVAL_S)

    async def ask(self, *figures: str, ago_s: float | None = None, **query: Any) -> Reply:
        if ago_s is not None:
            query["since"] = (self.clock.now() - timedelta(seconds=ago_s)).isoformat()
        return await self.history.ask(HistoryQuery(figures=figures, **query))


Open = Callable[..., AbstractAsyncContextManager[Kept]]


@pytest.fixture
def kept(tmp_path: Path) -> Open:
    clock = ManualClock()

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Kept]:
        made = Kept(tmp_path, clock, HistorySettings(**settings))
        async with made.history.running():
            yield made

    return opened


def worker(key: str = A, *, models: Sequence[ModelFigures] = (), **figures: Any) -> WorkerHealth:
    return WorkerHealth(
        key=key, name=key[:4], wtype="gateway", state="ready", figures=Figures(**figures), models=tuple(models)
    )


async def test_what_was_collected_is_told(kept: Open) -> None:
    async with kept() as one:
        one.collected(worker(requests_per_s=1.0, in_flight=3), worker(B))
        one.collected(worker(requests_per_s=2.0), worker(B, requests_per_s=9.0))
        one.collected(worker(requests_per_s=3.0))
        told = await one.ask("requests_per_s", "in_flight", ago_s=15)
        assert told.step_s == 5
        assert {(one.figure, one.worker): one.values[:3] for one in told.series} == {
            ("requests_per_s", A): (1.0, 2.0, 3.0),
            ("in_flight", A): (3.0, None, None),
            ("requests_per_s", B): (None, 9.0, None),
            ("in_flight", B): (None, None, None),
        }
        [alone] = (await one.ask("requests_per_s", ago_s=15, worker=B)).series
        assert alone.worker == B
        [mean] = (await one.ask("requests_per_s", ago_s=15, worker=A, step_s=60)).series
        assert mean.values == (2.0,)


async def test_models_have_figures_of_their_own(kept: Open) -> None:
    async with kept() as one:
        one.collected(worker(slots=9, models=[ModelFigures(name="m", state="ready", slots=4, tokens_per_s=1.5)]))
        [slots, speed] = (await one.ask("slots", "tokens_per_s", ago_s=5, model="m")).series
        assert (slots.model, slots.values[0], speed.values[0]) == ("m", 4.0, 1.5)
        [whole] = (await one.ask("slots", ago_s=5)).series
        assert (whole.model, whole.values[0]) == ("", 9.0)


async def test_older_figures_are_means_over_longer_steps(kept: Open) -> None:
    async with kept() as one:
        for number in range(12 * 60 * 3):
            one.collected(worker(requests_per_s=float(number // 12 % 2)))
            if number % 12 == 0:
                await one.history.write()
        minutes = await one.ask("requests_per_s", ago_s=2.9 * HOUR_S)
        assert minutes.step_s == 60
        assert minutes.series[0].values[:4] in {(0.0, 1.0, 0.0, 1.0), (1.0, 0.0, 1.0, 0.0)}
        longer = await one.ask("requests_per_s", ago_s=49 * HOUR_S)
        assert longer.step_s == 600
        assert [value for value in longer.series[0].values if value is not None] == [0.5] * 18
        recent = await one.ask("requests_per_s", ago_s=HOUR_S)
        assert recent.step_s == 5


async def test_what_is_too_old_goes(kept: Open, tmp_path: Path) -> None:
    async with kept() as one:
        one.collected(worker(cpu=1.0), worker(B, cpu=1.0))
        await one.history.write()
        for _ in range(40):
            one.clock.advance(DAY_S)
            one.collected(worker(cpu=2.0))
            await one.history.write()
    with sqlite3.connect(tmp_path / FILE) as file:
        rows = {name: file.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("collected", "series")}
        assert rows == {"collected": pytest.approx(11, abs=11), "series": 1}


async def test_the_file_is_bounded_by_size(kept: Open, tmp_path: Path) -> None:
    async with kept(max_bytes=1024 * 1024) as one:
        for _ in range(60):
            for _ in range(12):
                one.collected(*(worker(f"{number:064}", cpu=1.0, memory_bytes=number) for number in range(40)))
            await one.history.write()
    assert (tmp_path / FILE).stat().st_size <= 2 * 1024 * 1024
    async with kept(max_bytes=1024 * 1024) as one:
        told = await one.ask("cpu", ago_s=60)
        assert len(told.series) == 40, "what is newest stays"


def test_a_file_that_is_full_makes_room(tmp_path: Path) -> None:
    """More may come between two times of forgetting than the file has room for."""
    settings = HistorySettings(max_bytes=1024 * 1024)
    store = Store(tmp_path, levels_of(settings, INTERVAL_S), max_bytes=settings.max_bytes, monotonic=monotonic)
    now = 1_800_000_000
    for _ in range(60):
        now += 10
        store.write([Row(now, f"{worker:064x}", "", (1.5,) * len(FIGURES)) for worker in range(400)], now)
    assert store.series(None, "") == 400
    store.close()
    assert (tmp_path / FILE).stat().st_size <= 2 * settings.max_bytes


async def test_it_goes_on_after_a_stop(kept: Open) -> None:
    async with kept() as one:
        one.collected(worker(cpu=1.0))
    async with kept() as one:
        one.collected(worker(cpu=2.0))
        assert (await one.ask("cpu", ago_s=10)).series[0].values[:2] == (1.0, 2.0)


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b""])
async def test_a_file_that_is_broken_is_put_aside(kept: Open, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    async with kept() as one:
        one.collected(worker(cpu=1.0))
        assert (await one.ask("cpu", ago_s=5)).series[0].values[0] == 1.0
    assert (tmp_path / ASIDE).exists() is bool(content)


async def test_a_file_that_breaks_meanwhile_is_put_aside_too(kept: Open, tmp_path: Path) -> None:
    async with kept() as one:
        for _ in range(200):
            one.collected(worker(cpu=1.0), worker(B, cpu=1.0))
        await one.history.write()
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"x" * (len(whole) - 4096))
    async with kept() as one:
        one.collected(worker(cpu=3.0))
        assert (await one.ask("cpu", ago_s=5)).series[0].values[0] == 3.0
    assert (tmp_path / ASIDE).exists()


async def test_a_file_of_another_version_is_begun_anew(kept: Open, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("PRAGMA user_version = 99")
    async with kept() as one:
        one.collected(worker(cpu=1.0))
        assert (await one.ask("cpu", ago_s=5)).series[0].values[0] == 1.0


async def test_what_cannot_be_written_waits_and_is_bounded(
    kept: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperinfer.workers.metrics.history.history.MAX_WAITING", 3)
    async with kept() as one:
        (tmp_path / FILE).mkdir()
        for number in range(5):
            one.collected(worker(cpu=float(number)))
            with pytest.raises(Unavailable, match="history"):
                await one.history.write()
        assert one.registry.get_sample_value("ai_platform_history_rows_lost_total") == 2
        assert (one.registry.get_sample_value("ai_platform_history_failures_total") or 0) >= 5
        (tmp_path / FILE).rmdir()
        assert (await one.ask("cpu", ago_s=25)).series[0].values[:5] == (None, None, 2.0, 3.0, 4.0)


async def test_a_clock_that_was_wrong_for_a_while(kept: Open) -> None:
    async with kept() as one:
        one.clock.advance(400 * DAY_S)
        one.collected(worker(cpu=9.0))
        await one.history.write()
        one.clock.advance(-400 * DAY_S)
        for _ in range(12 * 5):
            one.collected(worker(cpu=1.0))
            await one.history.write()
        assert {value for value in (await one.ask("cpu", ago_s=3 * HOUR_S)).series[0].values if value is not None} == {
            1.0
        }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"figures": ("at; DROP TABLE series",)}, "figures"),
        ({"figures": ("cpu",), "since": "yesterday"}, "since"),
        ({"figures": ("cpu",), "until": "2026-01-01T00:00:00"}, "until"),
        ({"figures": ("cpu",), "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
    ],
)
async def test_what_cannot_be_asked(kept: Open, query: dict[str, Any], param: str) -> None:
    async with kept() as one:
        with pytest.raises(BadRequest) as refused:
            await one.history.ask(HistoryQuery(**query))
        assert refused.value.details["param"] == param


async def test_a_history_that_is_switched_off_says_so(kept: Open, tmp_path: Path) -> None:
    async with kept(enabled=False) as one:
        one.collected(worker(cpu=1.0))
        with pytest.raises(Unavailable, match=r"history\.enabled"):
            await one.ask("cpu")
    assert not (tmp_path / FILE).exists()


async def test_an_answer_has_so_many_values_at_most(kept: Open) -> None:
    async with kept() as one:
        one.collected(*(worker(f"{number:064}", cpu=1.0) for number in range(300)))
        told = await one.ask("cpu", ago_s=2 * HOUR_S - 60)
        assert sum(len(series.values) for series in told.series) <= 200_000
        assert told.step_s > 5


LEVELS = levels_of(HistorySettings(), 5.0)


@pytest.mark.parametrize(
    ("ago_s", "step_s", "level", "step"),
    [
        (60, None, "collected", 5),
        (2 * HOUR_S, None, "collected", 5),
        (3 * HOUR_S, None, "minutes", 60),
        (3 * HOUR_S, 7, "minutes", 60),
        (3 * HOUR_S, 90, "minutes", 120),
        (49 * HOUR_S, None, "ten_minutes", 600),
        (30 * DAY_S, None, "ten_minutes", 1800),
    ],
)
def test_the_finest_level_that_reaches_back_answers(ago_s: int, step_s: int | None, level: str, step: int) -> None:
    now = datetime(2026, 1, 31, 12, 34, 56, tzinfo=UTC).timestamp()
    how = plan(LEVELS, now=now, since=now - ago_s, until=now, step_s=step_s, max_steps=2000)
    assert (how.level.table, how.step_s) == (level, step)
    assert how.start % how.step_s == 0
    assert how.start <= now - ago_s
    assert how.start + how.steps * how.step_s > now
    assert how.steps <= 2000


def test_what_is_older_than_anything_kept_is_not_looked_for() -> None:
    how = plan((Level("collected", 5, 60),), now=1000, since=0, until=1000, step_s=None, max_steps=2000)
    assert how.start >= 930
