"""Lines of other machines: whose they are, and what is not believed of them."""

import json

import msgspec
import pytest

from hyperinfer.contracts.logs import MAX_LINES, LogPage, LogQuery
from hyperinfer.errors import RemoteError
from hyperinfer.kernel.calls import Caller
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.gathering.following import Following, Watched
from hyperinfer.workers.metrics.gathering.lines import stamped

LINE = '{"timestamp":"2026-11-21T18:00:00.000000Z","level":"info","event":"e"%s}'
GPU = Asked(b"\1" * 32, "gpu", ("inference",))


def raw(*lines: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(line.encode()) for line in lines]


def test_nobody_speaks_in_anothers_name() -> None:
    [(time, line)] = stamped("gpu", raw(LINE % ',"member":"gateway"'))
    assert time == b"2026-11-21T18:00:00.000000Z"
    assert json.loads(line)["member"] == "gpu"
    assert msgspec.json.decode(line)["member"] == "gpu"


def test_what_is_no_line_is_left_out() -> None:
    assert stamped("gpu", raw("5", "{}", '["timestamp"]', '{"level":"info"}')) == []


def test_no_more_is_taken_than_was_asked_for() -> None:
    many = stamped("gpu", raw(*(LINE % f',"n":{number}' for number in range(2 * MAX_LINES))))
    assert [json.loads(line)["n"] for _, line in many] == list(range(MAX_LINES, 2 * MAX_LINES))
    assert len(stamped("gpu", raw(*[LINE % f',"text":"{"x" * 400_000}"'] * 5))) == 2


async def test_what_makes_no_sense_is_that_workers_failure_alone() -> None:
    def nobody(_: bytes) -> Caller:
        raise AssertionError

    following = Following(LogQuery(follow=True), dict, nobody, ManualClock(), deadline=60)
    watched = Watched(GPU)
    for chunk in (b"{", b'{"lines":5}', b'{"missing":{"a":"\xff"}}', b'{"x":' * 5000):
        with pytest.raises(RemoteError, match="no lines"):
            await following._take(watched, [chunk])
    await following._take(watched, [msgspec.json.encode(LogPage(lines=tuple(raw(LINE % ""))))])
    assert watched.begun.is_set()
    assert len(watched.early) == 1
