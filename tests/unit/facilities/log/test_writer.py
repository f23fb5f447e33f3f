"""The one who writes: order, batches, what waits, what is lost, and who watches."""

import asyncio
import errno
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.log import calls, files, tail, writer
from hyperinfer.facilities.log.calls import Ended, timestamp
from hyperinfer.facilities.log.files import RotatedFile
from hyperinfer.facilities.log.writer import FileOutlet, Line, Writer


def ended(request_id: str = "req_1", status: str = "ok", **facts: object) -> Ended:
    return Ended(1_800_000_000.25, "processRequest", status, 0.0123456, Labels("inference", request_id), dict(facts))


class Kept:
    """An outlet that keeps what it is given, and says when."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.came = threading.Event()
        self.closed = False

    def put(self, lines: Sequence[Line]) -> None:
        self.lines += lines
        self.came.set()

    def close(self) -> None:
        self.closed = True


def event(name: str, level: str = "info") -> dict[str, object]:
    return {"timestamp": timestamp(1_800_000_001), "level": level, "event": name}


def test_a_call_is_a_line_with_what_was_noted() -> None:
    line = ended(model="echo", prompt_tokens=12, streamed=True, first_token_ms=None, password="hunter2").event()
    assert line == {
        "timestamp": "2027-01-15T08:00:00.250000Z",
        "level": "info",
        "event": "call",
        "worker": "inference",
        "method": "processRequest",
        "status": "ok",
        "duration_ms": 12.346,
        "request_id": "req_1",
        "model": "echo",
        "prompt_tokens": 12,
        "streamed": True,
        "password": "[hidden]",
    }


@pytest.mark.parametrize("status", sorted(calls.FAULTS))
def test_a_fault_of_ours_is_a_warning(status: str) -> None:
    assert ended(status=status).level == "warning"
    assert ended(status="RATE_LIMITED").level == "info"


def test_calls_wait_for_each_other_and_come_before_what_is_logged_after_them() -> None:
    kept = Kept()
    written = Writer([kept], level="info")
    written.tell(ended("a"))
    written.write(event("said"))
    assert [line[1]["event"] for line in kept.lines] == ["call", "said"]
    kept.came.clear()
    written.tell(ended("b"))
    assert kept.came.wait(5), "nobody wrote what waited"
    assert kept.lines[-1][1]["request_id"] == "b"
    written.close()
    assert kept.closed


def test_closing_writes_what_waits() -> None:
    kept = Kept()
    written = Writer([kept], level="info")
    for number in range(700):
        written.tell(ended(str(number)))
    written.close()
    assert [line[1]["request_id"] for line in kept.lines] == [str(number) for number in range(700)]


def test_below_its_level_nothing_is_kept() -> None:
    kept = Kept()
    written = Writer([kept], level="warning")
    written.write(event("quiet"))
    written.tell(ended())
    written.tell(ended(status="INTERNAL"))
    written.close()
    assert [line[1]["level"] for line in kept.lines] == ["warning"]


def test_what_waits_is_bounded_and_what_is_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 10)
    monkeypatch.setattr(writer, "FLUSH_S", 60)
    kept = Kept()
    written = Writer([kept], level="info")
    for number in range(25):
        written.tell(ended(str(number)))
    written.flush()
    assert (written.dropped, len(kept.lines)) == (15, 11)
    assert {**kept.lines[0][1], "timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "lines_dropped",
        "count": 15,
    }
    written.write(event("said"))
    assert len(kept.lines) == 12, "told once"


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatedFile(tmp_path / "event.log")
    written = Writer([FileOutlet(file, level="info")], level="info")
    full = True
    whole = RotatedFile.write

    def write(self: RotatedFile, lines: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "full")
        whole(self, lines)

    monkeypatch.setattr(RotatedFile, "write", write)
    written.write(event("lost"))
    written.write(event("lost_too"))
    assert written.dropped == 2
    full = False
    written.write(event("again"))
    written.close()
    names = [json.loads(line) for line in (tmp_path / "event.log").read_text().splitlines()]
    assert [line["event"] for line in names] == ["lines_dropped", "again"]
    assert names[0]["count"] == 2


def test_two_writers_of_one_file_lose_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_BYTES", 8000)
    both = [Writer([FileOutlet(RotatedFile(tmp_path / "event.log"), level="info")], level="info") for _ in range(2)]
    for number in range(200):
        both[number % 2].write(event(f"line_{number}"))
    for one in both:
        one.close()
    kept = files.files_of(tmp_path / "event.log")
    assert len(kept) > 1, "no room was made"
    found = [json.loads(line)["event"] for path in reversed(kept) for line in path.read_text().splitlines()]
    assert found == [f"line_{number}" for number in range(200)]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "event.log")
    file.write(b"one\n")
    (tmp_path / "event.log").rename(tmp_path / "elsewhere")
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "event.log").read_text() == "two\n"
    assert (tmp_path / "elsewhere").read_text() == "one\n"


async def test_who_watches_gets_what_it_wants_at_once() -> None:
    written = Writer([], level="info")
    with written.watched(lambda found: found.get("request_id") == "b") as watched:
        written.tell(ended("a"))
        written.tell(ended("b"))
        async with asyncio.timeout(5):
            lines, lost = await watched.next()
    assert [json.loads(line)["request_id"] for line in lines] == ["b"]
    assert lost == 0
    written.close()


async def test_who_watches_slowly_loses_lines_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_LINES", 5)
    written = Writer([], level="info")
    with written.watched(lambda found: True) as watched:
        for number in range(12):
            written.tell(ended(str(number)))
        async with asyncio.timeout(5):
            lines, lost = await watched.next()
    assert ([json.loads(line)["request_id"] for line in lines], lost) == (["0", "1", "2", "3", "4"], 7)
    written.close()


def test_of_several_workers_each_owns_its_lines_and_the_first_what_is_nobodys() -> None:
    written = Writer([], level="info")
    with written.joined("auth"), written.joined("gateway"):
        auth, gateway = written.owner("auth"), written.owner("gateway")
        for label in ("auth", "gateway", "", "of-yesterday"):
            assert auth(label) != gateway(label)
        assert gateway("gateway")
        assert auth("")
    written.close()
