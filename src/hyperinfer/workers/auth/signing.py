"""The keys that sign session tokens: seeds in files of their own, never in the database, and a new key every month.

A new key is told to gateways some time before the first token is signed with it; an old one is told to them until the last
token that it has signed has expired. What the database says of the keys is the same for every process on it.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts.auth import Jwks, Principal
from hyperinfer.contracts.directory import SIGNING
from hyperinfer.errors import IdentityError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.files import read_secret, write_atomic
from hyperinfer.kernel.identity import SEED_BYTES
from hyperinfer.protocol import session_tokens
from hyperinfer.protocol.session_tokens import Claims
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.config import SessionSettings
from hyperinfer.workers.auth.models import SigningKeyRow
from hyperinfer.workers.auth.records import signing_record

FOLDER = "jwt"
KEY_ID_LENGTH = 16
LEAD = timedelta(minutes=10)
"""How long gateways know a key before it signs."""
MARGIN = timedelta(minutes=5)
"""How much longer than its last token a retired key stays: clocks differ, and so does when processes look."""
LOST = "move it away: a new one is made, and everybody has to log in again"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair with the id that tokens name it by: the start of its public key."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_hex(self) -> str:
        """The public half in hexadecimal."""
        return self.private.public_key().public_bytes_raw().hex()

    @property
    def key_id(self) -> str:
        """What tokens call it."""
        return self.public_hex[:KEY_ID_LENGTH]


# --- what is due: pure -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done with the keys now: whether a new one is needed, and the ids of those to retire and to drop."""

    make: bool = False
    retire: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.make or bool(self.retire or self.drop)


def signer(rows: Iterable[SigningKeyRow], now: datetime) -> SigningKeyRow | None:
    """The key that signs: the newest that gateways have known for long enough, or else the one known longest."""
    usable = sorted((row for row in rows if row.retired_at is None), key=lambda row: row.created_at)
    ready = [row for row in usable if row.created_at + LEAD <= now]
    return ready[-1] if ready else next(iter(usable), None)


def due(rows: Sequence[SigningKeyRow], now: datetime, *, rotate_s: int, lasts_s: int) -> Due:
    """What is due, where each key is replaced after `rotate_s` and a token lasts `lasts_s`."""
    signs = signer(rows, now)
    if signs is None:
        return Due(make=True)
    unretired = [row for row in rows if row.retired_at is None]
    newest = max(unretired, key=lambda row: row.created_at)
    return Due(
        make=newest.created_at + timedelta(seconds=rotate_s) - LEAD <= now,
        retire=tuple(row.id for row in unretired if row.created_at < signs.created_at),
        drop=tuple(
            row.id for row in rows if row.retired_at and row.retired_at + timedelta(seconds=lasts_s) + MARGIN <= now
        ),
    )


# --- keys on the disk and in the database ------------------------------------------------------------------------


class Signing:
    """Signs session tokens, and keeps the keys. `keep` is to be called now and then."""

    def __init__(self, database: AuthDatabase, data: Path, clock: Clock, settings: SessionSettings) -> None:
        self._database = database
        self._folder = data / FOLDER
        self._clock = clock
        self._settings = settings
        self._rows: Sequence[SigningKeyRow] = ()
        self._keys: dict[str, SigningKey] = {}

    async def open(self) -> None:
        """Have a key to sign with, made if there is none.

        One whose seed file is gone is dropped and said so: its sessions end, and nothing else is lost with it. Raises
        `IdentityError` for a file that is damaged, open to others, or of another key.
        """
        async with self._database.read() as session:
            rows = await _rows(session)
        found = await asyncio.to_thread(self._read, rows)
        lost = [row.id for row in rows if row.retired_at is None and row.id not in found]
        if lost or not found:
            await self._replace(lost)
        await self.keep()

    async def keep(self) -> None:
        """Make, retire and drop keys as their times come, and know those that other processes have made.

        Raises `Unavailable`, `IdentityError`.
        """
        async with self._database.read() as session:
            self._rows = await _rows(session)
        if self._due(self._rows):
            async with self._database.change() as change:
                self._rows = await self._done(change, await _rows(change.session))
        self._keys = await asyncio.to_thread(self._read, self._rows)
        await asyncio.to_thread(self._forget)

    @property
    def changes_at(self) -> datetime | None:
        """When the key that signs now is to be replaced by the next one; nothing while there is none."""
        row = self._signer(self._clock.now())
        return None if row is None else row.created_at + timedelta(seconds=self._settings.rotate_key_s)

    def sign(self, who: Principal, *, session_id: str, lifetime_s: int) -> str:
        """A token for a session. Raises `Unavailable` while there is no key."""
        now = self._clock.now()
        row = self._signer(now)
        if row is None:
            raise Unavailable("Nobody can log in now; the operator's log says why.", retry_after_s=2)
        key = self._keys[row.id]
        return session_tokens.sign(
            who,
            session_id=session_id,
            key=key.private,
            key_id=key.key_id,
            now=now.timestamp(),
            lifetime_s=lifetime_s,
        )

    async def verify(self, rows: AsyncSession, token: str) -> Claims:
        """What a token says. Raises `Unauthenticated`."""
        key_id = session_tokens.key_id_of(token)
        row = await rows.get(SigningKeyRow, key_id) if _is_key_id(key_id) else None
        if row is None:
            raise session_tokens.not_valid()
        key = session_tokens.public_key(signing_record(row).jwk)
        return session_tokens.verify(token, key, now=self._clock.now().timestamp())

    async def jwks(self) -> Jwks:
        """The public keys that verify sessions, those that will and those that still do."""
        async with self._database.read() as session:
            return Jwks(keys=tuple(signing_record(row).jwk for row in await _rows(session)))

    def _signer(self, now: datetime) -> SigningKeyRow | None:
        return signer((row for row in self._rows if row.id in self._keys), now)

    def _due(self, rows: Sequence[SigningKeyRow]) -> Due:
        return due(rows, self._clock.now(), rotate_s=self._settings.rotate_key_s, lasts_s=self._settings.lasts_s)

    async def _done(self, change: Change, rows: Sequence[SigningKeyRow]) -> Sequence[SigningKeyRow]:
        """Do what is due, judged again now that nobody else does it; the keys as they are then."""
        wanted = self._due(rows)
        if wanted.make:
            await self._make(change)
        for row in rows:
            if row.id in wanted.retire:
                row.retired_at = self._clock.now()
                await change.audit("signing_key.retired", details={"key": row.id})
            elif row.id in wanted.drop:
                await _drop(change, row)
        return await _rows(change.session)

    async def _replace(self, lost: Sequence[str]) -> None:
        """Drop keys whose seeds are gone, unless they have come back, and have one to sign with."""
        async with self._database.change() as change:
            rows = await _rows(change.session)
            found = await asyncio.to_thread(self._read, rows)
            for row in rows:
                if row.id in lost and row.id not in found:
                    log.warning("signing_key_lost", key_id=row.id, consequence="its sessions have to log in again")
                    await _drop(change, row, action="signing_key.lost")
            if not found:
                await self._make(change)

    async def _make(self, change: Change) -> None:
        made = await asyncio.to_thread(self._write)
        row = SigningKeyRow(id=made.key_id, public_key=made.public_hex, created_at=self._clock.now(), retired_at=None)
        change.session.add(row)
        await change.session.flush()
        await change.publish(SIGNING, row.id, signing_record(row))
        await change.audit("signing_key.made", details={"key": row.id})

    # --- files --------------------------------------------------------------------------------------------------

    def _file(self, key_id: str) -> Path:
        return self._folder / f"{key_id}.key"

    def _read(self, rows: Iterable[SigningKeyRow]) -> dict[str, SigningKey]:
        """The keys that can sign, by id; one whose file is gone is left out."""
        found = {}
        for row in rows:
            path = self._file(row.id)
            if row.retired_at is not None:
                continue
            if known := self._keys.get(row.id):
                found[row.id] = known
                continue
            if not os.path.lexists(path):
                continue
            seed = read_secret(path, SEED_BYTES, "signing key", no_backup=LOST)
            key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
            if key.public_hex != row.public_key:
                raise IdentityError(
                    f"The signing key {path} is not the one that the database names. Restore it from a backup; if there "
                    f"is none, {LOST}."
                )
            found[row.id] = key
        return found

    def _write(self) -> SigningKey:
        """Make a key; its seed is on the disk before the database names it."""
        seed = os.urandom(SEED_BYTES)
        key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(self._file(key.key_id), seed, mode=0o600)
        except OSError as error:
            raise IdentityError(f"Cannot write a signing key in {self._folder}: {error.strerror}.") from error
        return key

    def _forget(self) -> None:
        """A key that signs no more needs no seed."""
        for row in self._rows:
            path = self._file(row.id)
            if row.retired_at is None:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.error("signing_key_not_removed", path=str(path), reason=error.strerror)


async def _rows(session: AsyncSession) -> Sequence[SigningKeyRow]:
    return (await session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.created_at, SigningKeyRow.id))).all()


async def _drop(change: Change, row: SigningKeyRow, *, action: str = "signing_key.dropped") -> None:
    await change.session.delete(row)
    await change.publish(SIGNING, row.id, None)
    await change.audit(action, details={"key": row.id})


def _is_key_id(text: str) -> bool:
    return len(text) <= KEY_ID_LENGTH and text.isascii() and text.isalnum()
