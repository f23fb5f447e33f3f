"""Finding lines in files: backwards, across rotations, by id, time and level; and as they grow."""

import json
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.contracts.logs import LogQuery
from hyperinfer.errors import BadRequest
from hyperinfer.facilities.log import reading
from hyperinfer.facilities.log.growing import Growing, folders
from hyperinfer.facilities.log.matching import Matching


def line(number: int, **fields: Any) -> bytes:
    event = {"timestamp": f"2027-01-15T08:{number // 60:02}:{number % 60:02}.000000Z", "level": "info", "event": "x"}
    return json.dumps(event | {"worker": "gateway"} | fields, separators=(",", ":")).encode()


def write(folder: Path, lines: list[bytes], name: str = "event.log") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(each + b"\n" for each in lines))


def found(folder: Path, limit: int = 100, **query: Any) -> list[str]:
    lines = reading.newest(folder, Matching(LogQuery(**query)), limit=limit)
    return [json.loads(each)["timestamp"][14:19] for each in lines]


def test_of_an_id_what_a_terminal_shows_will_do(tmp_path: Path) -> None:
    ids = "req_5a9a5f63ddf1e9e0584be0cd", "req_5a9a5f64ddf1e9e0584be0cd", "what-is-there", "what-is-there-2", ""
    write(tmp_path, [line(number, request_id=each) for number, each in enumerate(ids)])
    assert found(tmp_path, request_id="req_5a9a5f63") == ["00:00"]
    assert found(tmp_path, request_id="req_5a9a5f63…") == ["00:00"]
    assert found(tmp_path, request_id=ids[1]) == ["00:01"]
    assert found(tmp_path, request_id="req_5a9a5f6") == []
    assert found(tmp_path, request_id="what-is-ther") == []
    assert found(tmp_path, request_id="what-is-ther…") == ["00:02", "00:03"]
    assert found(tmp_path, request_id="what-is-there") == ["00:02"]
    assert len(found(tmp_path)) == len(ids)


def test_the_newest_are_found_over_several_files_oldest_first(tmp_path: Path) -> None:
    write(tmp_path, [line(number) for number in range(10)], "event.log.2")
    write(tmp_path, [line(number) for number in range(10, 20)], "event.log.1")
    write(tmp_path, [line(number) for number in range(20, 25)])
    assert found(tmp_path, limit=8) == ["00:17", "00:18", "00:19", "00:20", "00:21", "00:22", "00:23", "00:24"]
    assert len(found(tmp_path)) == 25


def test_blocks_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(number, model="m" * (number % 7)) for number in range(200)]
    write(tmp_path, lines)
    for size in (1, 7, 100, 1000):
        monkeypatch.setattr(reading, "BLOCK_BYTES", size)
        assert reading.newest(tmp_path, Matching(LogQuery()), limit=1000) == lines


def test_one_request_one_trace_one_worker_a_level(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            line(1, request_id="a", trace_id="t"),
            line(2, request_id="ab", worker="inference"),
            line(3, model="a", level="error"),
            line(4, request_id="a", worker="inference"),
        ],
    )
    assert found(tmp_path, request_id="a") == ["00:01", "00:04"]
    assert found(tmp_path, trace_id="t") == ["00:01"]
    assert found(tmp_path, worker="inference") == ["00:02", "00:04"]
    assert found(tmp_path, worker="inference", request_id="a") == ["00:04"]
    assert found(tmp_path, level="warning") == ["00:03"]


def test_within_a_time_whatever_its_zone(tmp_path: Path) -> None:
    write(tmp_path, [line(number) for number in range(60)])
    assert found(tmp_path, since="2027-01-15T09:00:57+01:00") == ["00:57", "00:58", "00:59"]
    assert found(tmp_path, since="2027-01-15T08:00:10Z", until="2027-01-15T08:00:12Z") == ["00:10", "00:11"]
    with pytest.raises(BadRequest, match="since"):
        Matching(LogQuery(since="yesterday"))


def test_what_is_too_old_is_not_looked_through(tmp_path: Path) -> None:
    write(tmp_path, [line(0), *(b'{"timestamp":"2027-01-15T08:00:00.000000Z"' for _ in range(3)), line(50)])
    assert found(tmp_path, since="2027-01-15T08:00:40Z") == ["00:50"]


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    write(
        tmp_path, [line(1), b"", b"torn", b'{"timestamp":"', b"\xff\xfe", b'{"timestamp":3}', b"x" * 200_000, line(2)]
    )
    assert found(tmp_path) == ["00:01", "00:02"]


def test_what_is_found_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [line(number) for number in range(50)])
    monkeypatch.setattr(reading, "MAX_BYTES", 5 * len(line(1)))
    assert found(tmp_path) == ["00:45", "00:46", "00:47", "00:48", "00:49"]
    assert reading.newest(tmp_path, Matching(LogQuery()), limit=5, read_s=-1) == []


def test_a_folder_without_a_log_has_no_lines(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == []


def test_only_what_is_owned_is_wanted(tmp_path: Path) -> None:
    wanted = Matching(LogQuery(), owned=lambda worker: worker == "auth")
    assert wanted.line(line(1, worker="auth"))
    assert not wanted.line(line(1))
    assert wanted.event({"timestamp": "", "level": "info", "event": "x", "worker": "auth", "count": 3})
    assert not wanted.event({"timestamp": "", "level": "info", "event": "x", "worker": 3})


def test_a_log_that_grows_is_read_from_where_it_ended_over_rotations(tmp_path: Path) -> None:
    write(tmp_path, [line(1)])
    wanted, log = Matching(LogQuery()), Growing(tmp_path)
    path = tmp_path / "event.log"
    with path.open("ab") as file:
        file.write(line(2) + b"\n" + line(3)[:20])
        file.flush()
        assert log.lines(wanted) == [line(2)]
        file.write(line(3)[20:] + b"\n")
    assert log.lines(wanted) == [line(3)]
    with path.open("ab") as file:
        file.write(line(4) + b"\n")
    path.rename(tmp_path / "event.log.1")
    write(tmp_path, [line(5)])
    assert log.lines(wanted) == [line(4), line(5)]
    assert log.lines(wanted) == []
    log.close()


def test_a_log_that_begins_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = Growing(tmp_path)
    assert log.lines(Matching(LogQuery())) == []
    write(tmp_path, [line(1)])
    assert log.lines(Matching(LogQuery())) == [line(1)]
    log.close()


def test_logs_of_this_machine_are_those_of_up_and_of_single_workers(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gateway", tmp_path / "inference-gpu"):
        write(folder, [])
    (tmp_path / "other").mkdir()
    assert folders([tmp_path, tmp_path / "nowhere"]) == [tmp_path, tmp_path / "gateway", tmp_path / "inference-gpu"]
