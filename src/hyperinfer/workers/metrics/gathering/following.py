"""Following the logs of the swarm: what was, merged, and then what comes, nearly in order; workers come, go and come back."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from hyperinfer.contracts.logs import MAX_LINES, READ_LOGS, LogPage, LogQuery
from hyperinfer.errors import HyperinferError, NotFound, RemoteError
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller, Send
from hyperinfer.protocol.typed_json import UNREADABLE
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.gathering.lines import Stamped, merged, stamped, why

FIRST_S = 4.0
"""How long the beginning waits for workers that do not answer."""
WINDOW_S = 0.2
"""Lines that come within this time of each other are put in order."""
AGAIN_S = 2.0
"""When a worker is asked again that could not be followed, and whether there are new ones."""
MAX_PAGES = 64
"""Pages that wait for one who follows; further ones wait at their workers, who count what they drop."""
MAX_EARLY = 2 * MAX_LINES
"""Lines of one worker that wait for the beginning of the others."""

_page = msgspec.json.Decoder(LogPage)
_encoder = msgspec.json.Encoder()


class Watched:
    """One worker that is followed: its lines of before all have begun, and the newest that it has sent."""

    def __init__(self, member: Asked) -> None:
        self.member = member
        self.early: list[Stamped] = []
        self.newest = b""
        self.begun = asyncio.Event()


class Following:
    """One who follows. `whom` gives the workers that there are now; `deadline` is on the clock's monotonic scale."""

    def __init__(
        self,
        query: LogQuery,
        whom: Callable[[], Mapping[bytes, Asked]],
        peer: Callable[[bytes], Caller],
        clock: Clock,
        *,
        deadline: float,
    ) -> None:
        self._query = replace(query, worker=None)
        self._whom = whom
        self._peer = peer
        self._clock = clock
        self._deadline = deadline
        self._watched: dict[bytes, Watched] = {}
        self._pages: asyncio.Queue[list[Stamped]] = asyncio.Queue(MAX_PAGES)
        self._missing: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._begun = False
        self._ended = False

    def end(self) -> None:
        """No more is wanted."""
        self._ended = True
        if not self._pages.full():
            self._pages.put_nowait([])

    async def run(self, send: Send) -> dict[str, str]:
        """Send pages until the end; gives who is missing then."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self._watch_all(), name="following")
            await asyncio.sleep(0)
            await self._beginning(send)
            while not self._ended:
                await self._send(send, await self._some())
            working.cancel()
        return self._missing

    async def _watch_all(self) -> None:
        """Follow every worker, those too that come later."""
        async with asyncio.TaskGroup() as group:
            while True:
                for key, member in self._there().items():
                    if key not in self._watched:
                        watched = self._watched[key] = Watched(member)
                        group.create_task(self._watch(watched), name=f"following {member.name}")
                await self._clock.sleep(AGAIN_S)

    def _there(self) -> Mapping[bytes, Asked]:
        try:
            return self._whom()
        except NotFound:  # it was there when somebody began to follow it, and may come back
            return {}

    async def _watch(self, watched: Watched) -> None:
        """Follow one worker, again and again: it may be restarted, or out of reach for a while."""
        query, name = self._query, watched.member.name
        while watched.member.key in self._there():
            try:
                await self._peer(watched.member.key).call(
                    READ_LOGS,
                    query,
                    timeout_s=max(0.0, self._deadline - self._clock.monotonic()),
                    sink=lambda chunks: self._take(watched, chunks),
                )
            except HyperinferError as error:
                self._missing[name] = why(error)
            watched.begun.set()
            await self._clock.sleep(AGAIN_S)
            if watched.newest:
                query = replace(query, since=watched.newest.decode(), limit=MAX_LINES)
        self._missing.pop(name, None)
        del self._watched[watched.member.key]

    async def _take(self, watched: Watched, chunks: Sequence[bytes]) -> None:
        self._missing.pop(watched.member.name, None)
        before = watched.newest  # what a worker has sent already it may send again when it is asked again
        lines = [
            line
            for chunk in chunks
            for line in stamped(watched.member.name, _decoded(chunk).lines)
            if not (watched.begun.is_set() and line[0] <= before)
        ]
        if lines:
            watched.newest = max(before, lines[-1][0])
        if self._begun:
            if lines:
                await self._pages.put(lines)
        else:
            watched.early = (watched.early + lines)[-MAX_EARLY:]
        watched.begun.set()

    async def _beginning(self, send: Send) -> None:
        try:
            async with asyncio.timeout(FIRST_S):
                for watched in tuple(self._watched.values()):
                    await watched.begun.wait()
        except TimeoutError:
            slow = (watched.member.name for watched in self._watched.values() if not watched.begun.is_set())
            self._missing |= dict.fromkeys(slow, "It does not answer yet.")
        self._begun = True
        lines = merged([watched.early for watched in self._watched.values()])
        for watched in self._watched.values():
            watched.early = []
        await self._send(send, lines[-self._query.limit :])

    async def _some(self) -> list[bytes]:
        """Lines that have come, in their order."""
        pages = [await self._pages.get()]
        await asyncio.sleep(WINDOW_S)
        while not self._pages.empty():
            pages.append(self._pages.get_nowait())
        return merged(pages)

    async def _send(self, send: Send, lines: Sequence[bytes]) -> None:
        missing = {} if self._missing == self._told else dict(self._missing)
        self._told = dict(self._missing)
        for start in range(0, max(1, len(lines)), MAX_LINES):
            raw = tuple(Raw(line) for line in lines[start : start + MAX_LINES])
            await send([_encoder.encode(LogPage(lines=raw, missing=missing))])


def _decoded(chunk: bytes) -> LogPage:
    """A page of another machine's."""
    try:
        return _page.decode(chunk)
    except UNREADABLE as error:
        raise RemoteError("What it sends are no lines of a log.") from error
