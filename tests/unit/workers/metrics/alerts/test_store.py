"""What is remembered over a restart, and what is made of a file that cannot be read."""

import asyncio
import stat
from pathlib import Path

import pytest
from tests.unit.workers.metrics.alerts.samples import LOST, notice

from hyperinfer.protocol.alerts import Book, Case
from hyperinfer.workers.metrics.alerts.store import FILE, Kept, Store

KEPT = Kept(
    book=Book(
        looked_at=1.0,
        open=[Case(id="a1", rule="queue", labels={"worker": "gpu"}, value=150.0, began_at=0.5, fired_at=1.0)],
        silences=[("queue", {"worker": "gpu"}, 99.0)],
    ),
    waiting={"pager": [notice(LOST)]},
)


async def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    await store.save(KEPT)
    assert store.load() == KEPT
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_nothing_is_kept_at_first(tmp_path: Path) -> None:
    assert Store(tmp_path).load() == Kept()


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b'{"version": 1', b"[]", b'{"version": 2}', b'{"book": {"open": 3}}']
)
def test_what_cannot_be_read_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert Store(tmp_path).load() == Kept()
    assert (tmp_path / "alerts.damaged").read_bytes() == content
    assert not (tmp_path / FILE).exists()


async def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    await Store(tmp_path / "file").save(KEPT)


async def test_what_is_newer_is_never_written_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        saves = [group.create_task(store.save(Kept(book=Book(looked_at=float(number))))) for number in range(20)]
        await asyncio.sleep(0)
        for save in saves[:-1:2]:
            save.cancel()
    assert store.load().book.looked_at == 19.0
