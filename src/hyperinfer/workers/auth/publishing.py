"""Tells the directory what it does not know yet: after an upgrade, a restored backup, or with other settings.

Ordinary changes tell it in the transaction that makes them. Here it is compared with the tables, and what differs is told,
a page at a time, so that nobody waits for long.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts import directory as contract
from hyperinfer.workers.auth.aliases import Aliases
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import ApiKeyRow, DirectoryRow, SigningKeyRow, User
from hyperinfer.workers.auth.records import key_record, signing_record, user_record
from hyperinfer.workers.auth.tiers import Tiers

PAGE = 200

Records = Mapping[str, msgspec.Struct | None]
"""What the directory should say, by id; nothing of what is gone."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of record, the table that it comes from, and how a row is told."""

    name: str
    table: Any
    record: Callable[[Any], msgspec.Struct]


KINDS = (
    _Kind(contract.SIGNING, SigningKeyRow, signing_record),
    _Kind(contract.USER, User, user_record),
    _Kind(contract.KEY, ApiKeyRow, key_record),
)


async def publish_missing(database: AuthDatabase, tiers: Tiers, aliases: Aliases) -> int:
    """Tell whatever differs, and say how many records that was. Raises `Unavailable`."""
    told = await _tell_tiers(database, tiers) + await _tell_aliases(database, aliases)
    for kind in KINDS:
        told += await _walk(database, kind, _ids_after)
        told += await _walk(database, kind, _told_after)
    if told:
        log.info("directory_brought_up_to_date", records=told)
    return told


Next = Callable[[AsyncSession, _Kind, str | None], Any]
"""The ids of the page after an id."""


async def _walk(database: AuthDatabase, kind: _Kind, ids_after: Next) -> int:
    """Compare what a page after the other names."""
    told, after = 0, None
    while True:
        async with database.read() as rows:
            ids = await ids_after(rows, kind, after)
            differing = await _differing(rows, kind.name, await _records(rows, kind, ids))
        if differing:
            async with database.change() as change:
                # As they are now that nobody else can change them.
                newest = await _differing(change.session, kind.name, await _records(change.session, kind, differing))
                for id_, record in newest.items():
                    await change.publish(kind.name, id_, record)
                told += len(newest)
        if len(ids) < PAGE:
            return told
        after = ids[-1]


async def _ids_after(rows: AsyncSession, kind: _Kind, after: str | None) -> Any:
    wanted = select(kind.table.id).order_by(kind.table.id).limit(PAGE)
    return (await rows.scalars(wanted.where(kind.table.id > after) if after else wanted)).all()


async def _told_after(rows: AsyncSession, kind: _Kind, after: str | None) -> Any:
    wanted = select(DirectoryRow.id).where(DirectoryRow.kind == kind.name, DirectoryRow.record.is_not(None))
    wanted = wanted.order_by(DirectoryRow.id).limit(PAGE)
    return (await rows.scalars(wanted.where(DirectoryRow.id > after) if after else wanted)).all()


async def _records(rows: AsyncSession, kind: _Kind, ids: Collection[str]) -> Records:
    found = await rows.scalars(select(kind.table).where(kind.table.id.in_(ids)))
    return {**dict.fromkeys(ids), **{row.id: kind.record(row) for row in found}}


async def _differing(rows: AsyncSession, kind: str, wanted: Records) -> Records:
    """Those of these records that the directory has otherwise."""
    found = await rows.scalars(select(DirectoryRow).where(DirectoryRow.kind == kind, DirectoryRow.id.in_(wanted)))
    told = {row.id: row.record for row in found}
    return {id_: record for id_, record in wanted.items() if not _says(told.get(id_), record)}


def _says(text: str | None, record: msgspec.Struct | None) -> bool:
    """Whether a text is this record, however it is written."""
    if text is None or record is None:
        return text is None and record is None
    try:
        return bool(msgspec.json.decode(text, type=type(record)) == record)
    except msgspec.DecodeError:
        return False


async def _tell_tiers(database: AuthDatabase, tiers: Tiers) -> int:
    async with database.read() as rows:
        used = set(await rows.scalars(select(User.tier).distinct()))
    for name in sorted(used.difference(tiers)):
        log.error("tier_unknown", tier=name, consequence="its people are limited as default", do="configure auth.tiers")
    named = {name: contract.TierRecord(limits=tiers.of(name)) for name in used.union(tiers)}
    return await _tell(database, contract.TIER, named)


async def _tell_aliases(database: AuthDatabase, aliases: Aliases) -> int:
    named = {name: contract.AliasRecord(models=models) for name, models in aliases.items()}
    return await _tell(database, contract.ALIAS, named)


async def _tell(database: AuthDatabase, kind: str, wanted: Records) -> int:
    """Tell what is configured, and that what is configured no more has gone."""
    async with database.read() as rows:
        told = select(DirectoryRow.id).where(DirectoryRow.kind == kind, DirectoryRow.record.is_not(None))
        known = (await rows.scalars(told)).all()
        differing = await _differing(rows, kind, {**dict.fromkeys(known), **wanted})
    if differing:
        async with database.change() as change:
            for name, record in differing.items():
                await change.publish(kind, name, record)
    return len(differing)
