"""The history's tables: `series` (which worker, which model), one table of figures for each level, and how far each is summed up."""
# ruff: noqa: S608 - names of tables and columns are our own; whatever comes from outside is a parameter

import sqlite3
from collections.abc import Iterable, Sequence

from hyperinfer.workers.metrics.history.levels import Level, Plan
from hyperinfer.workers.metrics.history.rows import FIGURES, Row

AHEAD_S = 600
"""Rows further in the future than that come from a clock that was wrong."""

_COLUMNS = ", ".join(FIGURES)
_MEANS = ", ".join(f"avg({name})" for name in FIGURES)
_PLACES = ", ".join("?" * len(FIGURES))


def make(connection: sqlite3.Connection, levels: Sequence[Level]) -> None:
    """Make those that there are not."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, worker TEXT NOT NULL, model TEXT NOT NULL, "
        "UNIQUE (worker, model))"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS summed (level TEXT PRIMARY KEY, until INTEGER NOT NULL)")
    columns = ", ".join(f"{name} REAL" for name in FIGURES)
    for level in levels:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {level.table} (series INTEGER NOT NULL, at INTEGER NOT NULL, {columns}, "
            "PRIMARY KEY (series, at)) WITHOUT ROWID"
        )


def number_of(connection: sqlite3.Connection, worker: str, model: str) -> int:
    """The number of a series, which gets one if it has none."""
    connection.execute("INSERT OR IGNORE INTO series (worker, model) VALUES (?, ?)", (worker, model))
    found = connection.execute("SELECT id FROM series WHERE worker = ? AND model = ?", (worker, model))
    return int(found.fetchone()[0])


def add(connection: sqlite3.Connection, level: Level, rows: Iterable[tuple[int, Row]]) -> None:
    """Rows by the numbers of their series."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {level.table} (series, at, {_COLUMNS}) VALUES (?, ?, {_PLACES})",
        [(number, row.at, *row.figures) for number, row in rows],
    )


def sum_up(connection: sqlite3.Connection, finer: Level, coarser: Level, now: int) -> None:
    """Write the means of the coarser level's steps that are over and not written yet."""
    step = coarser.step_s
    found = connection.execute("SELECT until FROM summed WHERE level = ?", (coarser.table,)).fetchone()
    done = found[0] if found and found[0] <= now + AHEAD_S else 0
    since, until = max(done, (now - finer.kept_s) // step * step), now // step * step
    if until <= since:
        return
    connection.execute(
        f"INSERT OR REPLACE INTO {coarser.table} (series, at, {_COLUMNS}) "
        f"SELECT id, at / {step} * {step} AS step, {_MEANS} FROM series CROSS JOIN {finer.table} ON series = id "
        "WHERE at >= ? AND at < ? GROUP BY id, step",
        (since, until),
    )
    connection.execute("INSERT OR REPLACE INTO summed (level, until) VALUES (?, ?)", (coarser.table, until))


def delete(connection: sqlite3.Connection, level: Level, *, before: int, after: int) -> None:
    """Rows of earlier than the one time, and of later than the other."""
    for comparison, at in (("<", before), (">", after)):
        connection.execute(
            f"DELETE FROM {level.table} WHERE series IN (SELECT id FROM series) AND at {comparison} ?", (at,)
        )


def delete_series(connection: sqlite3.Connection, levels: Sequence[Level]) -> None:
    """Those of which nothing is left."""
    rest = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {level.table} WHERE series = id)" for level in levels)
    connection.execute(f"DELETE FROM series WHERE {rest}")


def count(connection: sqlite3.Connection, worker: str | None, model: str) -> int:
    """How many series there are of a model, or with none of workers as a whole."""
    found = connection.execute(
        "SELECT count(*) FROM series WHERE model = ? AND (? IS NULL OR worker = ?)", (model, worker, worker)
    )
    return int(found.fetchone()[0])


def means(
    connection: sqlite3.Connection, plan: Plan, figures: Sequence[str], worker: str | None, model: str
) -> list[tuple[str, int, list[float | None]]]:
    """For each worker and step in which there is something: the worker, the step's number, the means of the figures."""
    wanted = ", ".join(f"avg({FIGURES[FIGURES.index(name)]})" for name in figures)
    end = plan.start + plan.steps * plan.step_s
    found = connection.execute(
        f"SELECT worker, (at - ?) / ? AS step, {wanted} FROM series CROSS JOIN {plan.level.table} ON series = id "
        "WHERE model = ? AND (? IS NULL OR worker = ?) AND at >= ? AND at < ? GROUP BY worker, step",
        (plan.start, plan.step_s, model, worker, worker, plan.start, end),
    )
    return [(key, step, values) for key, step, *values in found]


def used_bytes(connection: sqlite3.Connection) -> int:
    """How much of the file is in use."""
    page_bytes, pages, free = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    return int((pages - free) * page_bytes)
