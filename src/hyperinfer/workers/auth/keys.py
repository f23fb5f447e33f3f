"""API keys of accounts: made, told, listed, changed, rotated and revoked. What is kept of one is its digest."""

import hmac
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts import people
from hyperinfer.contracts.auth import Validated
from hyperinfer.contracts.directory import KEY
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import ApiKey, ApiKeys, NewApiKey
from hyperinfer.errors import Conflict, NotFound, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys
from hyperinfer.workers.auth import names, powers
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.models import ApiKeyRow, User
from hyperinfer.workers.auth.origin import LOCAL, Origin
from hyperinfer.workers.auth.powers import FIRST, Settings
from hyperinfer.workers.auth.records import key_record
from hyperinfer.workers.auth.shown import key_of, new_key_of, principal_of
from hyperinfer.workers.auth.store import active_keys
from hyperinfer.workers.auth.store import key_of as key_by_id
from hyperinfer.workers.auth.tiers import Tiers

MAX_KEYS = 100
"""Keys of one account that work."""
MAX_LISTED = 2 * MAX_KEYS
MAX_KEPT = 1000
"""Keys of one account that work no longer; of more the oldest ones are forgotten."""
VALID_FOR_S = 1.5
"""How long whoever asks may take a credential for valid: a revoked key must be refused within 2 s."""

NOT_VALID = "This API key is not valid: it may be mistyped or revoked."


class Keys:
    """API keys over one database."""

    def __init__(self, database: AuthDatabase, actors: Actors, tiers: Tiers, clock: Clock) -> None:
        self._database = database
        self._actors = actors
        self._tiers = tiers
        self._clock = clock

    # --- what a person asks ---------------------------------------------------------------------------------

    async def generate(self, request: people.GenerateApiKey, origin: Origin) -> NewApiKey:
        """A new key; its secret is in the reply and nowhere else. Raises `BadRequest`, `Forbidden`, `Conflict`."""
        now = self._clock.now()
        wanted = powers.wanted(request, now=now)
        async with self._actors.change(origin, people.GENERATE_API_KEY) as (change, who):
            powers.check(wanted, who)
            row, key = minted(who.user.id, request.name, now=now, settings=wanted)
            await self._add(change, row)
            await change.audit("key.created", target=who.user.id, details=_details(row))
        return new_key_of(row, key)

    async def listed(self, request: Nothing, origin: Origin) -> ApiKeys:
        """Who asks: their keys, newest first; of more than `MAX_LISTED`, old revoked ones are left out."""
        async with self._actors.read(origin, people.LIST_API_KEYS) as (rows, who):
            return ApiKeys(keys=tuple(map(key_of, await keys_of(rows, who.user.id))))

    async def update(self, request: people.UpdateApiKey, origin: Origin) -> ApiKey:
        """Change a key. Raises `NotFound` for another's too, `BadRequest`, `Forbidden`, `Conflict` if it was revoked."""
        now = self._clock.now()
        async with self._actors.change(origin, people.UPDATE_API_KEY) as (change, who):
            row = await self._own(change.session, who.user, request.id)
            _check_not_revoked(row)
            powers.check(powers.of(row), who)
            wanted = powers.changed(powers.of(row), request, now=now)
            powers.check(wanted, who)
            if request.name is not None:
                row.name = names.key_name_of(request.name)
            wanted.put_into(row)
            await change.publish(KEY, row.id, key_record(row))
            await change.audit("key.changed", target=who.user.id, details=_details(row))
            return key_of(row)

    async def rotate(self, request: people.RotateApiKey, origin: Origin) -> NewApiKey:
        """A new key with the settings of an old one, which works for a while still. Raises as `update`."""
        now = self._clock.now()
        async with self._actors.change(origin, people.ROTATE_API_KEY) as (change, who):
            old = await self._own(change.session, who.user, request.id)
            _check_not_revoked(old)
            if old.expires_at is not None and old.expires_at <= now:
                raise Conflict("This API key has expired; make a new one.")
            settings = powers.of(old)
            powers.check(settings, who)
            row, key = minted(who.user.id, old.name, now=now, settings=settings)
            ends = now + timedelta(seconds=request.overlap_s)
            if request.overlap_s == 0:
                old.is_active = False
            elif old.expires_at is None or old.expires_at > ends:
                old.expires_at = ends
            await change.publish(KEY, old.id, key_record(old))
            await self._add(change, row)
            await change.audit("key.rotated", target=who.user.id, details={**_details(row), "old_key": old.id})
        return new_key_of(row, key)

    async def revoke(self, request: people.OfKey, origin: Origin) -> ApiKey:
        """End a key. Raises `NotFound`, for another's key too."""
        async with self._actors.change(origin, people.REVOKE_API_KEY) as (change, who):
            row = await self._own(change.session, who.user, request.id)
            if row.is_active:
                row.is_active = False
                await change.publish(KEY, row.id, key_record(row))
                await change.audit("key.revoked", target=who.user.id, details={"key": row.id})
            return key_of(row)

    # --- what others need -----------------------------------------------------------------------------------

    async def validate(self, text: str) -> Validated:
        """Whose key it is; nothing is written on this path. Raises `Unauthenticated`."""
        key = api_keys.parse(text)
        if key is None:
            raise Unauthenticated(NOT_VALID)
        async with self._database.read() as rows:
            wanted = select(ApiKeyRow, User).join(User, User.id == ApiKeyRow.user_id)
            found = (await rows.execute(wanted.where(ApiKeyRow.public_id == key.public_id))).one_or_none()
        if found is None:
            raise Unauthenticated(NOT_VALID)
        row, user = found
        if not hmac.compare_digest(row.key_hash, key.digest) or not row.is_active or not user.is_active:
            raise Unauthenticated(NOT_VALID)
        left_s = (row.expires_at - self._clock.now()).total_seconds() if row.expires_at else VALID_FOR_S
        if left_s <= 0:
            raise Unauthenticated("This API key has expired.")
        return Validated(principal=principal_of(user, self._tiers, key=row), valid_for_s=min(left_s, VALID_FOR_S))

    async def generate_here(self, user: User, name: str, *, settings: Settings) -> NewApiKey:
        """A new key, made on the machine itself."""
        async with self._database.change(LOCAL) as change:
            row, key = minted(user.id, name, now=self._clock.now(), settings=settings)
            await self._add(change, row)
            await change.audit("key.created", target=user.id, details=_details(row))
        return new_key_of(row, key)

    async def _own(self, rows: AsyncSession, user: User, key_id: str) -> ApiKeyRow:
        row = await key_by_id(rows, user.id, key_id)
        if row is None:
            raise NotFound("You have no such API key.")
        return row

    async def _add(self, change: Change, row: ApiKeyRow) -> None:
        await change.session.flush()
        if await active_keys(change.session, row.user_id, self._clock.now()) >= MAX_KEYS:
            raise Conflict(f"An account may have {MAX_KEYS} keys that work; revoke one first.")
        await add_key(change, row)
        await _forget_oldest(change, row.user_id, self._clock.now())


def minted(
    user_id: str, name: str, *, now: datetime, settings: Settings = FIRST
) -> tuple[ApiKeyRow, api_keys.ApiKeyText]:
    """A key that is not stored yet, and its text. Raises `BadRequest` for a name that is none."""
    key = api_keys.mint()
    row = ApiKeyRow(
        id=str(uuid.uuid4()),
        user_id=user_id,
        public_id=key.public_id,
        key_hash=key.digest,
        name=names.key_name_of(name),
        created_at=now,
        last_used_at=None,
        is_active=True,
    )
    settings.put_into(row)
    return row, key


async def add_key(change: Change, row: ApiKeyRow) -> None:
    """Store a key and tell gateways of it."""
    change.session.add(row)
    await change.session.flush()
    await change.publish(KEY, row.id, key_record(row))


async def keys_of(rows: AsyncSession, user_id: str) -> Sequence[ApiKeyRow]:
    """A person's keys, newest first; beyond `MAX_LISTED`, revoked ones are left out first."""
    wanted = select(ApiKeyRow).where(ApiKeyRow.user_id == user_id)
    found = await rows.scalars(
        wanted.order_by(ApiKeyRow.is_active.desc(), ApiKeyRow.created_at.desc()).limit(MAX_LISTED)
    )
    return sorted(found, key=lambda row: row.created_at, reverse=True)


async def _forget_oldest(change: Change, user_id: str, now: datetime) -> None:
    gone = or_(not_(ApiKeyRow.is_active), ApiKeyRow.expires_at <= now)
    wanted = select(ApiKeyRow).where(ApiKeyRow.user_id == user_id, gone).order_by(ApiKeyRow.created_at.desc())
    for row in (await change.session.scalars(wanted.offset(MAX_KEPT))).all():
        await change.session.delete(row)
        await change.publish(KEY, row.id, None)


def _check_not_revoked(row: ApiKeyRow) -> None:
    if not row.is_active:
        raise Conflict("This API key has been revoked; make a new one.")


def _details(row: ApiKeyRow) -> dict[str, str]:
    details = {"key": row.id, "scopes": " ".join(row.scopes)}
    if row.expires_at is not None:
        details["expires_at"] = row.expires_at.isoformat(timespec="seconds")
    return details
