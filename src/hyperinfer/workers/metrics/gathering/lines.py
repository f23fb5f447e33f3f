"""Lines of several workers: whose they are, and in which order they stand."""

import heapq
from collections.abc import Iterable, Sequence

import msgspec

from hyperinfer.contracts.logs import MAX_LINES
from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.log.matching import BEGIN, time_of
from hyperinfer.facilities.log.reading import MAX_BYTES

Stamped = tuple[bytes, bytes]
"""The time of a line, and the line, which says whose it is."""


def stamped(member: str, lines: Sequence[msgspec.Raw]) -> list[Stamped]:
    """Lines of a member, with its name as `member`: on its own machine a worker is called by its type. The name stands last, so that it
    holds whatever else a line says. Other machines are not believed to send lines of a log alone, nor only as many as they
    were asked for: the rest is left out."""
    whose = b',"member":' + msgspec.json.encode(member) + b"}"
    found, size = [], 0
    for raw in lines[-MAX_LINES:]:
        line = bytes(raw)
        size += len(line)
        if line.startswith(BEGIN) and size <= MAX_BYTES:
            found.append((time_of(line), line[:-1] + whose))
    return found


def merged(several: Iterable[Sequence[Stamped]]) -> list[bytes]:
    """The lines of all, oldest first; those of each in the order that they had."""
    return [line for _, line in heapq.merge(*several, key=_time)]


def _time(line: Stamped) -> bytes:
    return line[0]


def why(error: Exception) -> str:
    """Why a worker could not be asked, in a sentence."""
    return error.message if isinstance(error, HyperinferError) else "It did not answer in time."
