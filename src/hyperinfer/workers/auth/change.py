"""The accounts' database as auth uses it: views to read, and changes, each one transaction with all that follows from it.

A change locks the row `heads` first, so that the numbers of the directory and the links of the audit log have one order.
"""

import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from hyperinfer.contracts.audit import Outcome
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import Database
from hyperinfer.workers.auth.audit.chain import link_of
from hyperinfer.workers.auth.audit.entries import entry_of, row_of
from hyperinfer.workers.auth.audit.texts import is_id
from hyperinfer.workers.auth.models import AuditSubject, DirectoryRow, Heads, User
from hyperinfer.workers.auth.origin import LOCAL, Origin


class Change:
    """One change under way. What it publishes and audits is there if, and only if, the change is."""

    def __init__(self, session: AsyncSession, heads: Heads, origin: Origin, *, clock: Clock, audit_key: bytes) -> None:
        self.session = session
        self.origin = origin
        self._heads = heads
        self._clock = clock
        self._audit_key = audit_key

    async def publish(self, kind: str, id: str, record: msgspec.Struct | None) -> None:  # noqa: A002 - the contract's word
        """Tell gateways what a record of the directory is now; nothing says that it is gone."""
        self._heads.directory_seq += 1
        text = None if record is None else msgspec.json.encode(record).decode()
        row = await self.session.get(DirectoryRow, (kind, id))
        if row is None:
            self.session.add(DirectoryRow(kind=kind, id=id, seq=self._heads.directory_seq, record=text))
        else:
            row.seq, row.record = self._heads.directory_seq, text

    async def audit(
        self,
        action: str,
        *,
        target: str | None = None,
        outcome: Outcome = "ok",
        details: Mapping[str, str] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Write down what was done, now or `at` a moment before, by the change's origin, to the account `target`.

        `details` hold no secret, no name and no e-mail: the row stays when the account goes.
        """
        actor = self.origin.actor
        entry = entry_of(
            self.origin,
            action,
            seq=self._heads.audit_seq + 1,
            at=at or self._clock.now(),
            outcome=outcome,
            actor=await self._subject(actor.user_id) if actor else None,
            target=await self._subject(target) if target else None,
            details=details,
        )
        link = link_of(entry, before=self._heads.audit_link, key=self._audit_key)
        self._heads.audit_seq, self._heads.audit_link = entry.seq, link
        self.session.add(row_of(entry, link))

    async def renew_directory(self) -> None:
        """Begin the directory anew: whoever has read it reads it again in full."""
        self._heads.directory_id = secrets.token_hex(16)

    async def _subject(self, user_id: str) -> str | None:
        """The account's random name in the log; none for what is no account, or none any more."""
        if not is_id(user_id):
            return None
        found = await self.session.scalar(select(AuditSubject.subject).where(AuditSubject.user_id == user_id))
        if found is not None:
            return found
        if await self.session.get(User, user_id) is None:
            return None
        made = uuid.uuid4().hex
        self.session.add(AuditSubject(subject=made, user_id=user_id))
        await self.session.flush()
        return made


class AuthDatabase:
    """Gives out sessions that read, and changes. Both raise `Unavailable` where the database cannot be used now."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock, audit_key: bytes) -> None:
        self._database = Database(engine)
        self._clock = clock
        self._audit_key = audit_key
        self._listeners: list[Callable[[], None]] = []

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session on one consistent view."""
        return self._database.read()

    def write(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits at the end of the block, for what neither the directory nor the log is told of."""
        return self._database.write()

    @asynccontextmanager
    async def change(self, origin: Origin = LOCAL) -> AsyncIterator[Change]:
        """A change, committed and synced at the end of the block; an error in it takes everything back."""
        async with self._database.write() as session:
            heads = (await session.scalars(select(Heads).with_for_update())).one()
            before = heads.directory_seq, heads.directory_id
            yield Change(session, heads, origin, clock=self._clock, audit_key=self._audit_key)
            after = heads.directory_seq, heads.directory_id
        if after != before:
            for listener in self._listeners:
                listener()

    async def note(
        self,
        origin: Origin,
        action: str,
        *,
        outcome: Outcome,
        target: str | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Write down something that changed nothing, such as a refusal."""
        async with self.change(origin) as change:
            await change.audit(action, target=target, outcome=outcome, details=details)

    def on_publish(self, listener: Callable[[], None]) -> None:
        """Be told, in this process, of every change of the directory."""
        self._listeners.append(listener)
