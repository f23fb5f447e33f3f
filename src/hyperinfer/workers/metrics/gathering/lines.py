"""Lines of several workers: whose they are, and in which order they stand."""

import heapq
from collections.abc import Iterable, Sequence

import msgspec

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.log.matching import BEGIN, time_of

Stamped = tuple[bytes, bytes]
"""The time of a line, and the line, which says whose it is."""


def stamped(member: str, lines: Iterable[msgspec.Raw]) -> list[Stamped]:
    """Lines of a member, with its name as `member`: on its own machine a worker is called by its type. What is no line of a log
    is left out: other machines are not believed to send none."""
    whose = b'{"member":' + msgspec.json.encode(member) + b","
    found = []
    for raw in lines:
        line = bytes(raw)
        if line.startswith(BEGIN):
            found.append((time_of(line), whose + line[1:]))
    return found


def merged(several: Iterable[Sequence[Stamped]]) -> list[bytes]:
    """The lines of all, oldest first; those of each in the order that they had."""
    return [line for _, line in heapq.merge(*several, key=_time)]


def _time(line: Stamped) -> bytes:
    return line[0]


def why(error: Exception) -> str:
    """Why a worker could not be asked, in a sentence."""
    return error.message if isinstance(error, HyperinferError) else "It did not answer in time."
