"""What auth does with people: accounts and their sessions."""

import uuid

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts.auth import Validated
from hyperinfer.contracts.people import Session
from hyperinfer.errors import BadRequest, Conflict, Forbidden, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth import accounts
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.passwords import Passwords, check_policy
from hyperinfer.workers.auth.shown import account_of, principal_of
from hyperinfer.workers.auth.signing import SigningKey
from hyperinfer.workers.auth.store import AuthStore

FIRST_KEY = "default"
WRONG_LOGIN = "Wrong name or password."


class AuthService:
    """Accounts and sessions over one store. `cache_s` is how long gateways may take a session for valid."""

    def __init__(
        self,
        store: AuthStore,
        *,
        keys: Keys,
        passwords: Passwords,
        signing: SigningKey,
        clock: Clock,
        session_s: int,
        cache_s: float,
        is_open: bool,
    ) -> None:
        self._store = store
        self._keys = keys
        self._passwords = passwords
        self._signing = signing
        self._clock = clock
        self._session_s = session_s
        self._cache_s = cache_s
        self._is_open = is_open

    async def register(self, request: contract.Register) -> contract.Registered:
        """Make an account for who asks, and its first key. Raises `Forbidden` where registration is closed,
        `BadRequest`, `Conflict`, `Overloaded`."""
        if not self._is_open:
            raise Forbidden("Registration is closed; ask the operator for an account.")
        email = accounts.email_of(request.email)
        username = accounts.username_of(request.username) if request.username else None
        accounts.check_not_reserved(email, username)
        return await self.add_account(email=email, username=username, password=request.password)

    async def add_account(
        self, *, email: str, username: str | None, password: str, role: str = "user", tier: str = "default"
    ) -> contract.Registered:
        """Make an account under names that are valid, without asking whether registration is open."""
        names = (username,) if username else tuple(accounts.usernames_from(email))
        check_policy(password, names=(email, names[0]))
        password_hash = await self._passwords.hash(password)
        for name in names:
            user = User(
                id=str(uuid.uuid4()),
                username=name,
                email=email,
                password_hash=password_hash,
                role=role,
                tier=tier,
                created_at=self._clock.now(),
                is_active=True,
                limits=None,
                last_login_at=None,
            )
            row, key = self._keys.minted(user.id, FIRST_KEY)
            try:
                await self._store.add_user(user, row)
            except Conflict:
                # A made-up name that is taken is nobody's business; a chosen one, or the e-mail, is told.
                if username or await self._store.user_named(email):
                    raise
                continue
            return contract.Registered(account=account_of(user), key=key)
        raise Conflict("No free username could be made from this e-mail; choose one.", param="username")

    async def login(self, request: contract.Login) -> Session:
        """Begin a session. Raises `Unauthenticated`, in the same words and time whether the account exists or not."""
        name = accounts.name_of(request.email or request.username or "")
        if not name or not request.password:
            raise BadRequest(
                "Logging in needs a name or e-mail, and a password.", param="email" if not name else "password"
            )
        user = await self._store.user_named(name) if name.isprintable() else None
        if not await self._passwords.verify(user.password_hash if user else None, request.password) or user is None:
            raise Unauthenticated(WRONG_LOGIN)
        if not user.is_active:
            raise Forbidden("This account has been deactivated; ask an administrator.")
        token = session_tokens.sign(
            principal_of(user),
            session_id=uuid.uuid4().hex,
            key=self._signing.private,
            key_id=self._signing.key_id,
            now=self._clock.now().timestamp(),
            lifetime_s=self._session_s,
        )
        return Session(access_token=token, expires_in_s=self._session_s, account=account_of(user))

    async def verify_session(self, token: str) -> Validated:
        """Whose session it is, by what the account is now. Raises `Unauthenticated`."""
        if session_tokens.key_id_of(token) != self._signing.key_id:
            raise session_tokens.not_valid()
        now = self._clock.now().timestamp()
        claims = session_tokens.verify(token, session_tokens.public_key(self._signing.public_jwk), now=now)
        user = await self._store.user(claims.sub)
        if user is None or not user.is_active:
            raise session_tokens.not_valid()
        who = principal_of(user, session_id=claims.jti)
        return Validated(principal=who, valid_for_s=min(claims.exp - now, self._cache_s))

    def jwks(self) -> contract.Jwks:
        """The public keys that verify sessions."""
        return contract.Jwks(keys=(self._signing.public_jwk,))
