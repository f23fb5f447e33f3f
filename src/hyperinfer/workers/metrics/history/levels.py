"""The steps in which the history is kept, and which of them answers a question."""

from dataclasses import dataclass

from hyperinfer.workers.metrics.history.config import HistorySettings


@dataclass(frozen=True, slots=True)
class Level:
    """A table: one row of it stands for `step_s`, and is kept for `kept_s`."""

    table: str
    step_s: int
    kept_s: int


def levels_of(settings: HistorySettings, interval_s: float) -> tuple[Level, Level, Level]:
    """The three levels, finest first."""
    return (
        Level("collected", max(1, round(interval_s)), settings.collected_s),
        Level("minutes", 60, settings.minutes_s),
        Level("ten_minutes", 600, settings.ten_minutes_s),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer: from this level, in this many steps of `step_s` from `start` (seconds since the epoch, a multiple of the step)."""

    level: Level
    start: int
    step_s: int
    steps: int


def plan(
    levels: tuple[Level, ...], *, now: float, since: float, until: float, step_s: int | None, max_steps: int
) -> Plan:
    """The finest level that reaches back to `since` answers, in steps that are no finer, nor more than `max_steps`."""
    level = next((one for one in levels if since >= now - one.kept_s - one.step_s), levels[-1])
    since = max(since, now - level.kept_s - level.step_s)
    until = max(until, since)
    step = max(step_s or 0, level.step_s, -(-int(until - since) // max_steps))
    step = -(-step // level.step_s) * level.step_s
    start = int(since // step) * step
    return Plan(level, start, step, min(max_steps, int((until - start) // step) + 1))
