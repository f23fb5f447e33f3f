"""API keys of accounts: made, told, listed and ended. What is kept of one is its digest."""

import hmac
import uuid
from datetime import datetime

from hyperinfer.contracts.auth import Validated
from hyperinfer.contracts.people import FIRST_SCOPES, ApiKey, NewApiKey, Scope
from hyperinfer.errors import Conflict, NotFound, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys
from hyperinfer.workers.auth import accounts
from hyperinfer.workers.auth.models import ApiKeyRow
from hyperinfer.workers.auth.shown import principal_of, text_of
from hyperinfer.workers.auth.store import AuthStore

MAX_KEYS = 100
"""Active keys of one account."""
MAX_LISTED = 2 * MAX_KEYS
MAX_NOTED = 10_000
"""Keys whose last use waits to be written."""

NOT_VALID = "This API key is not valid: it may be mistyped or revoked."


class Keys:
    """API keys over one store. `cache_s` is how long gateways may take a key for valid."""

    def __init__(self, store: AuthStore, *, clock: Clock, cache_s: float) -> None:
        self._store = store
        self._clock = clock
        self._cache_s = cache_s
        self._used: dict[str, datetime] = {}

    async def validate(self, text: str) -> Validated:
        """Whose key it is; nothing is written on this path. Raises `Unauthenticated`."""
        key = api_keys.parse(text)
        found = await self._store.key_with_user(key.public_id) if key else None
        if key is None or found is None:
            raise Unauthenticated(NOT_VALID)
        row, user = found
        now = self._clock.now()
        if not hmac.compare_digest(row.key_hash, key.digest) or not row.is_active or not user.is_active:
            raise Unauthenticated(NOT_VALID)
        left_s = (row.expires_at - now).total_seconds() if row.expires_at else self._cache_s
        if row.expires_at and left_s <= 0:
            raise Unauthenticated("This API key has expired.")
        if row.id in self._used or len(self._used) < MAX_NOTED:
            self._used[row.id] = now
        return Validated(principal=principal_of(user, key_id=row.id), valid_for_s=min(left_s, self._cache_s))

    async def generate(self, user_id: str, name: str) -> NewApiKey:
        """A new key; its secret is in the reply and nowhere else. Raises `NotFound`, `BadRequest`, `Conflict`."""
        owner = _uuid(user_id)
        user = await self._store.user(owner) if owner else None
        if user is None or not user.is_active:
            raise NotFound("There is no such account.")
        row, made = self.minted(user.id, name)
        if not await self._store.add_key(row, most=MAX_KEYS):
            raise Conflict(f"An account may have {MAX_KEYS} keys; revoke one first.")
        return made

    async def of(self, user_id: str) -> tuple[ApiKey, ...]:
        """A user's keys, newest first; of more than `MAX_LISTED`, old revoked ones are left out."""
        owner = _uuid(user_id)
        rows = await self._store.keys_of(owner, most=MAX_LISTED) if owner else ()
        return tuple(_listed(row) for row in rows)

    async def revoke(self, user_id: str, key_id: str) -> ApiKey:
        """End a key of a user's. Raises `NotFound`, for another's key too."""
        owner, wanted = _uuid(user_id), _uuid(key_id)
        row = await self._store.revoke_key(owner, wanted) if owner and wanted else None
        if row is None:
            raise NotFound("You have no such API key.")
        return _listed(row)

    def minted(self, user_id: str, name: str, scopes: tuple[Scope, ...] = FIRST_SCOPES) -> tuple[ApiKeyRow, NewApiKey]:
        """A key that is not stored yet, and what its holder is shown this once. Raises `BadRequest`."""
        key = api_keys.mint()
        row = ApiKeyRow(
            id=str(uuid.uuid4()),
            user_id=user_id,
            public_id=key.public_id,
            key_hash=key.digest,
            name=accounts.key_name_of(name),
            created_at=self._clock.now(),
            expires_at=None,
            last_used_at=None,
            is_active=True,
            scopes=list(scopes),
            models=[],
            limits=None,
        )
        shown = NewApiKey(
            id=row.id,
            name=row.name,
            prefix=key.prefix,
            created_at=text_of(row.created_at),
            key=key.text,
            scopes=tuple(row.scopes),
        )
        return row, shown

    async def note_use(self) -> None:
        """Write down when keys were last used; what cannot be written now is kept for the next time."""
        used = dict(self._used)
        await self._store.keys_used(used)
        self._used = {key: moment for key, moment in self._used.items() if used.get(key) != moment}


def _listed(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=api_keys.PREFIX + row.public_id,
        created_at=text_of(row.created_at),
        last_used_at=text_of(row.last_used_at) if row.last_used_at else None,
        is_active=row.is_active,
        scopes=tuple(row.scopes),
    )


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
