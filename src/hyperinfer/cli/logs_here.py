"""The logs of this machine, from their files."""

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hyperinfer.cli import places as machine
from hyperinfer.contracts.logs import LogQuery
from hyperinfer.facilities.log.growing import Growing, folders
from hyperinfer.facilities.log.matching import Matching, time_of
from hyperinfer.facilities.log.reading import newest as newest_of
from hyperinfer.kernel import config

LOOK_S = 0.2

Event = Mapping[str, Any]


def places() -> list[Path]:
    """Where workers of this machine log to, as they are configured."""
    return sorted({config.home() / machine.load(wtype).settings.log.dir for wtype in machine.SETTINGS})


def newest(wheres: Sequence[Path], query: LogQuery) -> list[Event]:
    """The newest lines of all logs that a query wants, oldest first."""
    return [_event(line) for line in _newest(wheres, Matching(query), query.limit)]


def follow(wheres: Sequence[Path], query: LogQuery) -> Iterator[list[Event]]:
    """The same, and then lines as they are written, of logs too that begin meanwhile. Never ends."""
    wanted = Matching(query)
    logs = {folder: Growing(folder) for folder in folders(wheres)}
    # What comes while these are read is found by both.
    before = _newest(wheres, wanted, query.limit)
    yield [_event(line) for line in before]
    known = frozenset(before)
    try:
        while True:
            for folder in folders(wheres):
                if folder not in logs:
                    logs[folder] = Growing(folder, from_the_beginning=True)
            lines = heapq.merge(*(log.lines(wanted) for log in logs.values()), key=time_of)
            yield [_event(line) for line in lines if line not in known]
            time.sleep(LOOK_S)
    finally:
        for log in logs.values():
            log.close()


def _newest(wheres: Sequence[Path], wanted: Matching, limit: int) -> list[bytes]:
    each = [newest_of(folder, wanted, limit=limit) for folder in folders(wheres)]
    return list(heapq.merge(*each, key=time_of))[-limit:]


def _event(line: bytes) -> Event:
    event: Event = msgspec.json.decode(line, type=dict)
    return event
