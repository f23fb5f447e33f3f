"""A history whose process is killed has all that was written, and goes on."""

import subprocess
import sys
import time
from pathlib import Path

from hyperinfer.workers.metrics.history.config import HistorySettings
from hyperinfer.workers.metrics.history.levels import levels_of, plan
from hyperinfer.workers.metrics.history.rows import FIGURES, Row
from hyperinfer.workers.metrics.history.store import ASIDE, Store

LEVELS = levels_of(HistorySettings(), 5.0)
START = 1_800_000_000
WRITER = """
import sys, time
from pathlib import Path
from hyperinfer.workers.metrics.history.config import HistorySettings
from hyperinfer.workers.metrics.history.levels import levels_of
from hyperinfer.workers.metrics.history.rows import FIGURES, Row
from hyperinfer.workers.metrics.history.store import Store

store = Store(Path(sys.argv[1]), levels_of(HistorySettings(), 5.0), max_bytes=2**28, monotonic=time.monotonic)
for number in range(100_000):
    at = int(sys.argv[2]) + 5 * number
    store.write([Row(at, "w", "", (float(number),) * len(FIGURES))], at)
    print(number, flush=True)
"""


def test_what_was_written_is_there_after_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(START)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        said = next(int(line) for line in writer.stdout if int(line) >= 50)
        writer.kill()
        said = max([said, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    store = Store(tmp_path, LEVELS, max_bytes=2**28, monotonic=time.monotonic)
    now = START + 5 * said
    store.write([Row(now + 5, "w", "", (1.0,) * len(FIGURES))], now + 5)
    how = plan(LEVELS, now=now, since=START, until=now, step_s=None, max_steps=100_000)
    [series] = store.read(how, ["cpu"], None, "")
    assert series.values[: said + 1] == tuple(float(number) for number in range(said + 1))
    assert not (tmp_path / ASIDE).exists()
    store.close()
