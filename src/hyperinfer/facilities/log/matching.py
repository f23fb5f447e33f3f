"""Which lines a query wants: told by the bytes of a line first, as most lines are not wanted and decoding them is dear."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hyperinfer.contracts.logs import LogQuery
from hyperinfer.errors import BadRequest
from hyperinfer.facilities.log.calls import timestamp
from hyperinfer.facilities.log.writer import RANKS

BEGIN = b'{"timestamp":"'
TIME_CHARS = len("2026-01-01T00:00:00.000000Z")
DISORDER = timedelta(seconds=5)
"""How far lines of a file may be out of their order, where several processes write it."""
CUT = "…"
OF_OURS = re.compile(r"req_[0-9a-f]{8,}")
"""An id that gateways give, or as much of one as a terminal shows."""


class Head(msgspec.Struct, frozen=True):
    """As much of a line as is asked for."""

    timestamp: str = ""
    level: str = ""
    worker: str = ""
    request_id: str = ""
    trace_id: str = ""


_head = msgspec.json.Decoder(Head)


def anybodys(worker: str) -> bool:
    """Lines of every worker are wanted."""
    return True


class Matching:
    """Wants the lines of a query, among those whose worker is `owned`. Of a request's id the beginning will do where a terminal cut it:
    `req_` with eight digits or more, and what ends in an ellipsis. Raises `BadRequest` for times that are none."""

    def __init__(self, query: LogQuery, *, owned: Callable[[str], bool] = anybodys) -> None:
        self._query = query
        self._owned = owned
        self._rank = RANKS[query.level] if query.level else 0
        self._since = _moment(query.since, "since")
        self._until = _moment(query.until, "until")
        self._earliest = timestamp((self._since - DISORDER).timestamp()).encode() if self._since else b""
        self.since = timestamp(self._since.timestamp()) if self._since else ""
        self.until = timestamp(self._until.timestamp()) if self._until else ""
        self._id, self._is_whole = _request_id(query.request_id or "")
        named = {"trace_id": query.trace_id, "worker": query.worker}
        self._needles = [_needle(name, value) for name, value in named.items() if value]
        if self._id:
            needle = _needle("request_id", self._id)
            self._needles.append(needle if self._is_whole else needle.removesuffix(b'"'))

    def line(self, line: bytes) -> bool:
        """Whether a line of a file is wanted; what is no line of ours is not."""
        if not line.startswith(BEGIN) or not all(needle in line for needle in self._needles):
            return False
        try:
            return self._head(_head.decode(line))
        except msgspec.DecodeError:
            return False

    def event(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is wanted that has just been logged."""
        try:
            return self._head(msgspec.convert(event, Head, strict=False))
        except msgspec.ValidationError:
            return False

    def is_before(self, line: bytes) -> bool:
        """Whether all that stands before this line is too old."""
        return bool(self._earliest) and line.startswith(BEGIN) and time_of(line) < self._earliest

    def _head(self, head: Head) -> bool:
        query = self._query
        return (
            (head.request_id == self._id if self._is_whole else head.request_id.startswith(self._id))
            and (not query.trace_id or head.trace_id == query.trace_id)
            and (not query.worker or head.worker == query.worker)
            and RANKS.get(head.level, 0) >= self._rank
            and (not self.since or head.timestamp >= self.since)
            and (not self.until or head.timestamp < self.until)
            and self._owned(head.worker)
        )


def time_of(line: bytes) -> bytes:
    """The time of a line, comparable; nonsense for what is no line of ours."""
    return line[len(BEGIN) : len(BEGIN) + TIME_CHARS]


def _request_id(text: str) -> tuple[str, bool]:
    """An id to look for, and whether that is all of it: terminals show the beginning of a long one, which people copy."""
    beginning = text.removesuffix(CUT)
    return beginning, beginning == text != "" and not OF_OURS.fullmatch(text)


def _needle(name: str, value: str) -> bytes:
    return f'"{name}":'.encode() + msgspec.json.encode(value)


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{name} takes a time such as 2027-01-31T12:00:00Z.", param=name) from error
