"""How long each worker was up, as a real history tells it after the day is over."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

from hyperinfer.contracts.metrics import Figures, WorkerHealth
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.history.config import HistorySettings
from hyperinfer.workers.metrics.history.history import History
from hyperinfer.workers.metrics.history.meters import Meters
from hyperinfer.workers.metrics.reports.periods import day_of, week_of
from hyperinfer.workers.metrics.reports.presence import presence_in

from .samples import FRIDAY, GPU, LAPTOP

MORNING = datetime(2026, 11, 20, 6, tzinfo=UTC)
STEP_S = 60.0


def history(folder: Path, clock: ManualClock, *, enabled: bool = True) -> History:
    settings = HistorySettings(enabled=enabled)
    return History(settings, folder, interval_s=STEP_S, clock=clock, meters=Meters(CollectorRegistry()))


def seen(key: str, answered: int | None) -> WorkerHealth:
    return WorkerHealth(key=key, name="", wtype="inference", state="ready", figures=Figures(answered=answered))


async def test_of_a_day_and_of_a_week(tmp_path: Path) -> None:
    clock = ManualClock(MORNING)
    kept = history(tmp_path, clock)
    async with kept.running():
        for minute in range(200):
            laptop, never = seen(LAPTOP, int(minute < 50)), seen("never", None)
            kept.collected(SimpleNamespace(now=clock.now(), workers=(seen(GPU, 1), laptop, never)))
            clock.advance(STEP_S)
            if minute % 10 == 9:
                await kept.write()
        clock.advance(24 * 3600)
        await kept.write()
        presence = presence_in(kept)
        assert await presence(day_of(FRIDAY)) == {GPU: 1.0, LAPTOP: 0.25}
        clock.advance(3 * 24 * 3600)
        kept.collected(SimpleNamespace(now=clock.now(), workers=(seen(GPU, 1),)))
        assert await presence(week_of(FRIDAY)) == {GPU: 1.0, LAPTOP: 0.25}
        assert await presence(day_of(FRIDAY.replace(day=12))) == {}


async def test_without_a_history_nothing_is_known(tmp_path: Path) -> None:
    assert await presence_in(history(tmp_path, ManualClock(), enabled=False))(day_of(FRIDAY)) == {}
