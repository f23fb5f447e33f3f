"""`readLogs`: a worker's own lines, from its files and, for one who follows, as they are written."""

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Raw, json
from msgspec.structs import replace

from hyperinfer.contracts.logs import LogPage, LogQuery
from hyperinfer.errors import BadRequest, Overloaded
from hyperinfer.facilities import log as logs
from hyperinfer.facilities.log import reading
from hyperinfer.facilities.log.calls import timestamp
from hyperinfer.facilities.log.matching import Matching
from hyperinfer.facilities.log.tail import Tail
from hyperinfer.facilities.log.writer import encode
from hyperinfer.kernel.calls import Call, Send

PAGE_LINES = 200
MAX_READERS = 4
"""Files are searched for so many at once: it is work, and takes a thread."""
MAX_FOLLOWERS = 16

LogSource = Callable[[], logs.Log | None]


class LogReading:
    """Shows the lines of one worker. Of several in one process each shows its own, and the first what is nobody's.

    A stream's first page has all that is written already, be it nothing, so that who merges knows where to begin.
    """

    def __init__(self, worker: str, *, log: LogSource = logs.current) -> None:
        self._worker = worker
        self._log = log
        self._readers = 0
        self._tails: set[Tail] = set()

    def end(self) -> None:
        """Let those go who follow: the worker is stopping."""
        for tail in self._tails:
            tail.end()

    async def read(self, query: LogQuery, call: Call) -> LogPage:
        """The newest lines that a query wants; all in the reply, or for a stream in pages, and then what comes."""
        log = self._log()
        if log is None:
            return LogPage()
        owned = log.writer.owner(self._worker)
        if call.send is None:
            if query.follow:
                raise BadRequest("Lines are followed in a stream.", param="follow")
            return _page(await self._newest(log, query, Matching(query, owned=owned)))
        if not query.follow:
            await call.send([json.encode(_page(await self._newest(log, query, Matching(query, owned=owned))))])
            return LogPage()
        if len(self._tails) >= MAX_FOLLOWERS:
            raise Overloaded("Too many follow this worker's log already.", retry_after_s=5)
        await self._follow(log, query, call.send, owned)
        return LogPage()

    async def _newest(self, log: logs.Log, query: LogQuery, wanted: Matching) -> list[bytes]:
        if log.folder is None:
            return []
        if self._readers >= MAX_READERS:
            raise Overloaded("Too many read this worker's log already.", retry_after_s=1)
        self._readers += 1
        try:
            return await asyncio.to_thread(self._search, log, query, wanted)
        finally:
            self._readers -= 1

    def _search(self, log: logs.Log, query: LogQuery, wanted: Matching) -> list[bytes]:
        log.writer.flush()
        assert log.folder is not None
        return reading.newest(log.folder, wanted, limit=query.limit)

    async def _follow(self, log: logs.Log, query: LogQuery, send: Send, owned: Callable[[str], bool]) -> None:
        """First what is written, then what comes: neither twice."""
        wanted = Matching(query, owned=owned)
        with log.writer.watched(wanted.event) as tail:
            until = min(filter(None, (wanted.until, timestamp(time.time()))))
            before = Matching(replace(query, until=until), owned=owned)
            self._tails.add(tail)
            try:
                await send([json.encode(_page(await self._newest(log, query, before)))])
                while not tail.ended:
                    lines, lost = await tail.next()
                    if lost:
                        lines.append(self._lost(lost))
                    await _send(send, lines)
            finally:
                self._tails.discard(tail)

    def _lost(self, count: int) -> bytes:
        now = timestamp(time.time())
        return encode(
            {"timestamp": now, "level": "warning", "event": "lines_lost", "worker": self._worker, "count": count}
        )


def _page(lines: Sequence[bytes]) -> LogPage:
    return LogPage(lines=tuple(Raw(line) for line in lines))


async def _send(send: Send, lines: Sequence[bytes]) -> None:
    for start in range(0, len(lines), PAGE_LINES):
        await send([json.encode(_page(lines[start : start + PAGE_LINES]))])
