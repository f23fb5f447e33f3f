"""What auth does: accounts, sessions and API keys."""

import hmac
import uuid
from datetime import datetime

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts.auth import Account, ApiKey, NewApiKey, Principal, Session, Validated
from hyperinfer.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.workers.auth import accounts
from hyperinfer.workers.auth.models import ApiKeyRow, User
from hyperinfer.workers.auth.passwords import Passwords, check_policy
from hyperinfer.workers.auth.signing import SigningKey
from hyperinfer.workers.auth.store import AuthStore

FIRST_KEY = "default"
USERNAME_TRIES = 3
MAX_KEYS = 100
MAX_NOTED = 10_000
"""Keys whose last use waits to be written."""

UNKNOWN_KEY = "This API key is not valid."
WRONG_LOGIN = "Wrong name or password."


class AuthService:
    """Accounts, sessions and keys over one store."""

    def __init__(
        self,
        store: AuthStore,
        *,
        passwords: Passwords,
        signing: SigningKey,
        clock: Clock,
        session_s: int,
        key_cache_s: float,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._signing = signing
        self._clock = clock
        self._session_s = session_s
        self._key_cache_s = key_cache_s
        self._used: dict[str, datetime] = {}

    # --- accounts and sessions ------------------------------------------------------------------------------

    async def register(
        self, request: contract.Register, *, role: str = "user", tier: str = "default"
    ) -> contract.Registered:
        """Make an account and its first key. Raises `BadRequest`, `Conflict`."""
        email = accounts.email_of(request.email)
        chosen = accounts.username_of(request.username) if request.username else None
        check_policy(request.password, names=(email, chosen or accounts.username_start(email)))
        password_hash = await self._passwords.hash(request.password)
        for _ in range(USERNAME_TRIES):
            username = chosen or await self._free_username(email)
            user = User(
                id=str(uuid.uuid4()),
                username=username,
                email=email,
                password_hash=password_hash,
                role=role,
                tier=tier,
                created_at=self._clock.now(),
                is_active=True,
            )
            row, text = self._new_key(user.id, FIRST_KEY)
            try:
                await self._store.add_user(user, row)
            except Conflict:
                # A made-up name may have been taken in the meantime; a chosen one, or the e-mail, is told.
                if chosen or await self._store.user_named(email):
                    raise
                continue
            return contract.Registered(account=account_of(user), key=_shown_once(row, text))
        raise Conflict("No free username could be made from this e-mail; choose one.", param="username")

    async def login(self, request: contract.Login) -> Session:
        """Begin a session. Raises `Unauthenticated`, in the same words and time whether the account exists or not."""
        name = (request.email or request.username or "").strip().lower()
        if not name or not request.password:
            raise BadRequest(
                "Logging in needs a name or e-mail, and a password.", param="email" if not name else "password"
            )
        user = await self._store.user_named(name)
        if not await self._passwords.verify(user.password_hash if user else None, request.password) or user is None:
            raise Unauthenticated(WRONG_LOGIN)
        if not user.is_active:
            raise Forbidden("This account has been deactivated; ask an administrator.")
        session_id = uuid.uuid4().hex
        token = session_tokens.sign(
            principal_of(user),
            session_id=session_id,
            key=self._signing.private,
            key_id=self._signing.key_id,
            now=self._clock.now().timestamp(),
            lifetime_s=self._session_s,
        )
        return Session(access_token=token, expires_in_s=self._session_s, account=account_of(user))

    async def verify_session(self, token: str) -> Validated:
        """Whose session it is. Raises `Unauthenticated`."""
        if session_tokens.key_id_of(token) != self._signing.key_id:
            raise session_tokens.not_valid()
        now = self._clock.now().timestamp()
        claims = session_tokens.verify(token, session_tokens.public_key(self._signing.public_jwk), now=now)
        user = await self._store.user(claims.sub)
        if user is None or not user.is_active:
            raise session_tokens.not_valid()
        who = principal_of(user, session_id=claims.jti)
        return Validated(principal=who, valid_for_s=min(self._key_cache_s, claims.exp - now))

    def jwks(self) -> contract.Jwks:
        """The public keys that verify sessions."""
        return contract.Jwks(keys=(self._signing.public_jwk,))

    # --- API keys -------------------------------------------------------------------------------------------

    async def validate_key(self, text: str) -> Validated:
        """Whose key it is. Raises `Unauthenticated`."""
        key = api_keys.parse(text)
        found = await self._store.key_with_user(key.public_id) if key else None
        if key is None or found is None:
            raise Unauthenticated(UNKNOWN_KEY)
        row, user = found
        now = self._clock.now()
        if not hmac.compare_digest(row.key_hash, key.digest) or not row.is_active or not user.is_active:
            raise Unauthenticated(UNKNOWN_KEY)
        if row.expires_at is not None and row.expires_at <= now:
            raise Unauthenticated("This API key has expired.")
        if row.id in self._used or len(self._used) < MAX_NOTED:
            self._used[row.id] = now
        return Validated(principal=principal_of(user, key_id=row.id), valid_for_s=self._key_cache_s)

    async def generate_key(self, user_id: str, name: str) -> NewApiKey:
        """A new key; its secret is in the reply and nowhere else. Raises `NotFound`, `BadRequest`, `Conflict`."""
        if await self._store.user(user_id) is None:
            raise NotFound("There is no such account.")
        keys = await self._store.keys_of(user_id)
        if sum(key.is_active for key in keys) >= MAX_KEYS:
            raise Conflict(f"An account may have {MAX_KEYS} keys; revoke one first.")
        row, text = self._new_key(user_id, accounts.key_name_of(name))
        await self._store.add_key(row)
        return _shown_once(row, text)

    async def list_keys(self, user_id: str) -> tuple[ApiKey, ...]:
        """A user's keys, newest first."""
        return tuple(_listed(row) for row in await self._store.keys_of(user_id))

    async def revoke_key(self, user_id: str, key_id: str) -> ApiKey:
        """End a key of a user's. Raises `NotFound`, for another's key too."""
        row = await self._store.revoke_key(user_id, _uuid(key_id))
        if row is None:
            raise NotFound("You have no such API key.")
        return _listed(row)

    async def note_use(self) -> None:
        """Write down when keys were last used."""
        if self._used:
            used, self._used = self._used, {}
            await self._store.keys_used(used)

    def _new_key(self, user_id: str, name: str) -> tuple[ApiKeyRow, str]:
        key = api_keys.mint()
        row = ApiKeyRow(
            id=str(uuid.uuid4()),
            user_id=user_id,
            public_id=key.public_id,
            key_hash=key.digest,
            name=name,
            created_at=self._clock.now(),
            expires_at=None,
            last_used_at=None,
            is_active=True,
        )
        return row, key.text

    async def _free_username(self, email: str) -> str:
        taken = await self._store.usernames_like(accounts.username_start(email))
        return accounts.username_from(email, frozenset(taken))


def principal_of(user: User, *, key_id: str | None = None, session_id: str | None = None) -> Principal:
    """Who a credential of this account stands for."""
    return Principal(
        user_id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        key_id=key_id,
        session_id=session_id,
    )


def account_of(user: User) -> Account:
    """An account as others may see it."""
    return Account(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        created_at=_text(user.created_at),
    )


def _listed(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=api_keys.PREFIX + row.public_id,
        created_at=_text(row.created_at),
        last_used_at=_text(row.last_used_at) if row.last_used_at else None,
        is_active=row.is_active,
    )


def _shown_once(row: ApiKeyRow, text: str) -> NewApiKey:
    prefix = api_keys.PREFIX + row.public_id
    return NewApiKey(id=row.id, name=row.name, prefix=prefix, created_at=_text(row.created_at), key=text)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise NotFound("You have no such API key.") from error
