"""Whose a credential is: told from this gateway's own copy of the directory, whether auth can be reached or not."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from hyperinfer.contracts.auth import Principal
from hyperinfer.errors import Overloaded, Unauthenticated, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import api_keys, session_tokens
from hyperinfer.protocol.session_tokens import Claims
from hyperinfer.workers.gateway.directory import DirectoryCopy, Follower

MAX_SESSIONS = 20_000
"""Verified tokens that are remembered: to verify one costs a hundred times as much as to look it up."""

NO_KEY = "This is neither an API key (hi_…) nor a session token."
MISTYPED = "This API key is mistyped or cut off: its checksum is wrong."
NOT_VALID = "This key is not valid: it may have been revoked or have expired."
CANNOT_TELL = "This key is not known here, and auth cannot be asked now. Try again shortly."
TOO_OLD = "Auth has not been heard of for too long; credentials cannot be trusted any more."


class _Known:
    """A verified token, and whose it was when the directory had this version."""

    __slots__ = ("claims", "version", "who")

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.version = -1
        self.who: Principal


class Credentials:
    """Tells whose a key or token is. Neither is kept: both are known by their SHA-256 alone.

    `grace_s` is how long the copy is trusted without a word from auth.
    """

    def __init__(self, directory: DirectoryCopy, follower: Follower, *, clock: Clock, grace_s: float) -> None:
        self._directory = directory
        self._follower = follower
        self._clock = clock
        self._grace_s = grace_s
        self._sessions: OrderedDict[bytes, _Known] = OrderedDict()

    @property
    def ready(self) -> bool:
        """Whether anybody can be told apart."""
        return self._directory.known

    @property
    def jwks(self) -> tuple[dict[str, str], ...]:
        """The public keys that verify session tokens."""
        return self._directory.jwks

    async def principal(self, key: str, *, before_check: Callable[[], None]) -> Principal:
        """Whose a session token or API key is. `before_check` is called where that is not known yet, and may refuse.

        Raises `Unauthenticated`, or `Unavailable` where it cannot be told now.
        """
        digest = sha256(key.encode()).digest()
        now = self._clock.now().timestamp()
        if key.startswith("eyJ"):
            return await self._of_session(digest, key, now, before_check)
        who = self._directory.by_key(digest, now=now)
        if who is not None and not self._stale:
            return who
        if who is not None:
            await self._catch_up(TOO_OLD)
            return await self.principal(key, before_check=before_check)
        if api_keys.parse(key) is None:  # so that nonsense, however much of it, never reaches auth
            raise Unauthenticated(MISTYPED if key.startswith(api_keys.PREFIX) else NO_KEY)
        before_check()
        await self._catch_up(CANNOT_TELL)
        who = self._directory.by_key(digest, now=now)
        if who is None:
            raise Unauthenticated(NOT_VALID)
        return who

    async def _of_session(self, digest: bytes, token: str, now: float, before_check: Callable[[], None]) -> Principal:
        known = self._sessions.get(digest)
        if known is None:
            before_check()
            known = self._remember(digest, await self._verified(token, now))
        if known.claims.exp <= now:
            raise session_tokens.expired()
        if self._stale:
            await self._catch_up(TOO_OLD)
        if known.version != self._directory.version:
            version, who = self._directory.version, self._directory.by_claims(known.claims)
            if who is None:
                await self._catch_up(CANNOT_TELL)
                version, who = self._directory.version, self._directory.by_claims(known.claims)
            if who is None:
                raise session_tokens.not_valid()
            known.version, known.who = version, who
        return known.who

    async def _verified(self, token: str, now: float) -> Claims:
        key_id = session_tokens.key_id_of(token)
        key = self._directory.signing_key(key_id)
        if key is None:
            await self._catch_up(CANNOT_TELL)
            key = self._directory.signing_key(key_id)
        if key is None:
            raise session_tokens.not_valid()
        return session_tokens.verify(token, key, now=now)

    @property
    def _stale(self) -> bool:
        """Whether auth has not been heard of for too long."""
        return not self._follower.connected and self._follower.heard_s_ago > self._grace_s

    async def _catch_up(self, otherwise: str) -> None:
        """Have the newest directory. Raises `Unavailable` with these words where auth cannot be asked."""
        try:
            await self._follower.catch_up()
        except Overloaded:
            raise
        except Unavailable as error:
            raise Unavailable(otherwise, retry_after_s=2) from error

    def _remember(self, digest: bytes, claims: Claims) -> _Known:
        known = self._sessions[digest] = _Known(claims)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return known
