"""Looking things up in the audit log."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Select, select

from hyperinfer.contracts.audit import AuditQuery, AuditRow, AuditRows
from hyperinfer.errors import BadRequest, NotFound
from hyperinfer.workers.auth.audit.entries import details_in
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.audit.texts import is_id
from hyperinfer.workers.auth.models import AuditLogRow, AuditSubject, User
from hyperinfer.workers.auth.shown import text_of

ACTION = re.compile(r"[a-z][a-z0-9_.]{0,49}\*?|\*")
CURSOR = re.compile(r"[0-9]{1,18}")
NOBODY = AuditRows()


class AuditLog:
    """Pages of the log, newest row first. Raises `Unavailable` where the database cannot be used now."""

    def __init__(self, database: Readable) -> None:
        self._database = database

    async def page(self, query: AuditQuery) -> AuditRows:
        """The rows that a query asks for. A cursor stays good while rows are written.

        Raises `BadRequest` for a time, an action or a cursor that makes no sense.
        """
        wanted = _filtered(query)
        if query.account_id is not None and not is_id(query.account_id):
            return NOBODY
        async with self._database.read() as session:
            if query.account_id is not None:
                subject = await session.scalar(
                    select(AuditSubject.subject).where(AuditSubject.user_id == query.account_id)
                )
                if subject is None:
                    return NOBODY
                wanted = wanted.where((AuditLogRow.actor == subject) | (AuditLogRow.target == subject))
            rows = (await session.scalars(wanted.order_by(AuditLogRow.seq.desc()).limit(query.limit + 1))).all()
            page = rows[: query.limit]
            named = select(AuditSubject.subject, User.username).join(User, User.id == AuditSubject.user_id)
            found = await session.execute(named.where(AuditSubject.subject.in_(_subjects(page))))
            names = {row.subject: row.username for row in found}
        return AuditRows(
            rows=tuple(_shown(row, names) for row in page),
            next=str(page[-1].seq) if len(rows) > query.limit else None,
        )

    async def rows(self, query: AuditQuery) -> AsyncIterator[AuditRow]:
        """Every row that a query asks for, read page by page of its `limit`."""
        while True:
            page = await self.page(query)
            for row in page.rows:
                yield row
            if page.next is None:
                return
            query = msgspec.structs.replace(query, cursor=page.next)

    async def account_named(self, name: str) -> str:
        """The id of the account with this username, e-mail or id. Raises `NotFound`."""
        wanted = select(User.id)
        if is_id(name):
            wanted = wanted.where(User.id == name)
        else:
            wanted = wanted.where((User.email if "@" in name else User.username) == name.lower())
        async with self._database.read() as session:
            found = await session.scalar(wanted)
        if found is None:
            raise NotFound("No account has this name, e-mail or id. Of one that is gone the log holds no name.")
        return found


def _filtered(query: AuditQuery) -> Select[AuditLogRow]:
    wanted = select(AuditLogRow)
    if query.since is not None:
        wanted = wanted.where(AuditLogRow.at >= _moment(query.since, "since"))
    if query.until is not None:
        wanted = wanted.where(AuditLogRow.at < _moment(query.until, "until"))
    if query.outcome is not None:
        wanted = wanted.where(AuditLogRow.outcome == query.outcome)
    if query.action is not None:
        if not ACTION.fullmatch(query.action):
            raise BadRequest("An action is like key.created, or key.* for all that begin so.", param="action")
        start = query.action.removesuffix("*")
        is_whole = start == query.action
        wanted = wanted.where(
            AuditLogRow.action == start if is_whole else AuditLogRow.action.startswith(start, autoescape=True)
        )
    if query.cursor is not None:
        if not CURSOR.fullmatch(query.cursor):
            raise BadRequest("This cursor is not one that a page of the audit log gave.", param="cursor")
        wanted = wanted.where(AuditLogRow.seq < int(query.cursor))
    return wanted


def _moment(text: str, param: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"{param} is a time as RFC 3339 writes it, such as 2026-11-01T00:00:00Z.", param=param)


def _subjects(rows: Sequence[AuditLogRow]) -> set[str]:
    return {subject for row in rows for subject in (row.actor, row.target) if subject is not None}


def _shown(row: AuditLogRow, names: dict[str, str]) -> AuditRow:
    return AuditRow(
        seq=row.seq,
        at=text_of(row.at),
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        actor_name=names.get(row.actor or ""),
        target=row.target,
        target_name=names.get(row.target or ""),
        remote=row.remote,
        gateway=row.gateway,
        request_id=row.request_id,
        details=details_in(row),
    )
