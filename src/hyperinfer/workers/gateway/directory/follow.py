"""Keeping the copy of the directory current: auth pushes changes, and is asked at once where something is missing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from hyperinfer.contracts.directory import GET_DIRECTORY, WATCH_DIRECTORY, Change, Changes, Since
from hyperinfer.errors import HyperinferError, Overloaded, RemoteError, StartError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.workers.gateway.directory.copy import DirectoryCopy
from hyperinfer.workers.gateway.directory.disk import FILE, DirectoryFile

WATCH_S = 3000.0
"""How long one watch lasts before it is made anew; a call may last an hour at most."""
SILENT_S = 15.0
"""Auth says something every 5 s; after this long it counts as lost."""
ASK_TIMEOUT_S = 5.0
ASK_PAUSE_S = 0.1
"""Between two questions for what is missing, so that made-up keys cost auth no more than ten questions a second."""
MAX_WAITING = 1024
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
NOTE_HEARD_EVERY_S = 60.0

log = structlog.get_logger(__name__)

_changes = msgspec.json.Decoder(Changes)


class Follower:
    """Follows auth's directory while `run` runs."""

    def __init__(self, auth: Caller, copy: DirectoryCopy, *, clock: Clock) -> None:
        self._auth = auth
        self._clock = clock
        self._copy = copy
        self._file: DirectoryFile
        self._writing = asyncio.Lock()
        self._heard_at = 0.0
        self._noted_at = 0.0
        self._heard = asyncio.Event()
        self._connected = False
        self._tasks: asyncio.TaskGroup
        self._asking: asyncio.Task[HyperinferError | None] | None = None
        self._next: asyncio.Task[HyperinferError | None] | None = None
        self._waiting = 0

    @property
    def connected(self) -> bool:
        """Whether auth pushes its changes now."""
        return self._connected

    @property
    def heard_s_ago(self) -> float:
        """How long auth has not been heard of, in seconds."""
        return max(0.0, self._clock.now().timestamp() - self._heard_at)

    async def open(self, folder: Path) -> None:
        """Read what is on the disk. Raises `StartError` if the file cannot be used."""
        try:
            self._file = await asyncio.to_thread(DirectoryFile, folder / FILE)
            page, self._heard_at = await asyncio.to_thread(self._file.load)
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"Cannot use {folder / FILE}: {error}.") from error
        if page is not None:
            self._copy.apply(page)

    async def close(self) -> None:
        """Let go of the file."""
        async with self._writing:
            await asyncio.to_thread(self._file.close)

    async def run(self) -> None:
        """Follow auth until cancelled; while it is away, what is known stays."""
        async with asyncio.TaskGroup() as self._tasks:
            pause_s = FIRST_PAUSE_S
            while True:
                began_at = self._clock.monotonic()
                try:
                    await self._watch()
                except HyperinferError as error:
                    log.debug("directory_watch_ended", reason=error.message)
                except TimeoutError:
                    log.debug("directory_watch_ended", reason="silence")
                if self._connected:
                    self._connected = False
                    log.warning("auth_lost", consequence="known keys and sessions go on working")
                lasted = self._clock.monotonic() - began_at > LONGEST_PAUSE_S
                pause_s = FIRST_PAUSE_S if lasted else min(pause_s * 2, LONGEST_PAUSE_S)
                await self._clock.sleep(pause_s)

    async def catch_up(self) -> None:
        """Have everything that auth had published when this was called.

        Raises `Unavailable` where auth cannot be asked now, `Overloaded` if too many wait for the same.
        """
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many unknown keys are being looked for at this moment.", retry_after_s=1)
        self._waiting += 1
        try:
            # A question under way may have been answered before what is looked for was there: only the next will do.
            error = await asyncio.shield(self._question())
        finally:
            self._waiting -= 1
        if error is not None:
            raise Unavailable("Auth cannot be asked now. Try again shortly.", retry_after_s=2) from error

    def _question(self) -> asyncio.Task[HyperinferError | None]:
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.create_task(self._ask(pause_s=0.0), name="directory: ask")
            return self._asking
        if self._next is None or self._next.done():
            self._next = self._tasks.create_task(self._ask_after(self._asking), name="directory: ask next")
        return self._next

    async def _ask_after(self, running: asyncio.Task[HyperinferError | None]) -> HyperinferError | None:
        await asyncio.wait([running])
        task = asyncio.current_task()
        assert task is not None
        self._asking, self._next = task, None
        return await self._ask(pause_s=ASK_PAUSE_S)

    async def _ask(self, *, pause_s: float) -> HyperinferError | None:
        if pause_s:
            await self._clock.sleep(pause_s)
        since, pages = self._copy.read, _Pages()
        try:
            while True:
                page = await self._auth.call(GET_DIRECTORY, since, timeout_s=ASK_TIMEOUT_S)
                since = Since(directory=page.directory, seq=page.seq)
                whole = pages.put(page)
                # A watch may have been given a new directory meanwhile, and be further by now than this answer is.
                if whole and not (whole.is_whole and whole.directory == self._copy.read.directory):
                    await self._take(whole)
                if not page.more:
                    return None
        except HyperinferError as error:
            return error

    async def _watch(self) -> None:
        pages = _Pages()

        async def take(chunks: Sequence[bytes]) -> None:
            self._heard.set()
            for chunk in chunks:
                if page := pages.put(_read(chunk)):
                    await self._take(page)
            if not self._connected:
                self._connected = True
                log.info("auth_followed", seq=self._copy.read.seq)

        async with background(self._listen(), name="directory: silence"):
            await self._auth.call(WATCH_DIRECTORY, self._copy.read, timeout_s=WATCH_S, sink=take)

    async def _listen(self) -> None:
        """Raise `TimeoutError` once auth has been silent for too long."""
        while True:
            self._heard.clear()
            async with asyncio.timeout(SILENT_S):
                await self._heard.wait()

    async def _take(self, page: Changes) -> None:
        """Use a page at once, and keep it. Pages come from a watch and from questions: one that is old says nothing."""
        self._heard_at = self._clock.now().timestamp()
        read = self._copy.read
        if not page.is_whole and (page.directory != read.directory or page.seq < read.seq):
            return
        news = page.is_whole or bool(page.changes)
        self._copy.apply(page)
        if not news and self._heard_at - self._noted_at < NOTE_HEARD_EVERY_S:
            return
        self._noted_at = self._heard_at
        self._copy.forget_expired(self._heard_at)
        async with self._writing:
            try:
                await asyncio.to_thread(self._file.save, page, heard_at=self._heard_at)
            except sqlite3.Error as error:  # a full disk, say: it works from memory, and later pages are tried again
                log.error("directory_not_kept", error=error)


@asynccontextmanager
async def following(follower: Follower, folder: Path) -> AsyncIterator[None]:
    """Start from what is on the disk in `folder`, and follow auth for the length of the block."""
    await follower.open(folder)
    try:
        async with background(follower.run(), name="directory"):
            await asyncio.sleep(0)  # so that it runs, and can be asked
            yield
    finally:
        await follower.close()


class _Pages:
    """Puts the pages of a directory that begins anew together, so that nobody is unknown in between."""

    def __init__(self) -> None:
        self._begun: list[Change] | None = None

    def put(self, page: Changes) -> Changes | None:
        """A page to be used; nothing while one that begins anew is not there in full."""
        if page.is_whole:
            self._begun = []
        if self._begun is None:
            return page
        self._begun += page.changes
        if page.more:
            return None
        whole = Changes(directory=page.directory, seq=page.seq, changes=tuple(self._begun), is_whole=True)
        self._begun = None
        return whole


def _read(page: bytes) -> Changes:
    try:
        return _changes.decode(page)
    except msgspec.DecodeError as error:
        raise RemoteError(f"Auth's directory makes no sense: {error}") from error
