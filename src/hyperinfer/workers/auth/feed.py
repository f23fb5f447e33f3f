"""The directory of credentials as gateways read it: what there is, and what changes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
from sqlalchemy import select

from hyperinfer.contracts import directory as contract
from hyperinfer.contracts.directory import PAGE, Changes, Since
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import DirectoryRow, Heads

LOOK_EVERY_S = 1.0
"""How often the database is looked at for changes by another process, such as a command on this machine."""
BEAT_S = 5.0
"""How often a gateway hears something at least."""


class Feed:
    """Pages of the directory. `watch` gives them as they come."""

    def __init__(self, database: AuthDatabase) -> None:
        self._database = database
        self._changed = asyncio.Event()
        self._ending = False
        database.on_publish(self._wake)

    async def since(self, since: Since) -> Changes:
        """What is newer than a gateway has read, oldest first, one page of it."""
        async with self._database.read() as session:
            heads = (await session.scalars(select(Heads))).one()
            is_whole = since.directory != heads.directory_id or since.seq > heads.directory_seq
            read = 0 if is_whole else since.seq
            newer = select(DirectoryRow).where(DirectoryRow.seq > read).order_by(DirectoryRow.seq)
            rows = (await session.scalars(newer.limit(PAGE + 1))).all()
        more = len(rows) > PAGE
        changes = tuple(
            contract.Change(
                seq=row.seq,
                kind=row.kind,
                id=row.id,
                record=contract.GONE if row.record is None else msgspec.Raw(row.record.encode()),
            )
            for row in rows[:PAGE]
        )
        return Changes(
            directory=heads.directory_id,
            seq=changes[-1].seq if more else heads.directory_seq,
            changes=changes,
            is_whole=is_whole,
            more=more,
        )

    async def watch(self, since: Since) -> AsyncGenerator[Changes, None]:
        """Page after page, until auth stops: what there is, then what comes, and an empty page now and then."""
        silent_s = BEAT_S
        while not self._ending:
            changed = self._changed
            page = await self.since(since)
            news = page.is_whole or page.changes
            if news or silent_s >= BEAT_S:
                yield page
                silent_s = 0.0
            since = Since(directory=page.directory, seq=page.seq)
            if page.more:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await changed.wait()
            silent_s += LOOK_EVERY_S

    def end(self) -> None:
        """Let those who watch go: auth is stopping."""
        self._ending = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
