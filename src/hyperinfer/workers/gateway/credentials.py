"""Whose a credential is: answered from memory wherever possible, and while auth is away for a stated time."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from hyperinfer.contracts.auth import VALIDATE_API_KEY, Credential, Principal, Validated
from hyperinfer.errors import DeadlineExceeded, HyperinferError, Overloaded, Unauthenticated, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller
from hyperinfer.protocol import api_keys
from hyperinfer.workers.gateway.sessions import Sessions

MAX_KNOWN = 20_000
MAX_REJECTED = 20_000
REJECTED_S = 2.0
"""How long a credential that is not valid is remembered as such."""
SESSION_S = 60.0
"""How long a verified token is not verified again."""
MAX_ASKING = 256
"""Questions to auth under way at most."""
ASK_TIMEOUT_S = 5.0
PATIENCE_S = 1.0
"""How long a request whose credential was valid a moment ago waits for auth."""

NO_KEY = "This is neither an API key (hi_…) nor a session token."
MISTYPED = "This API key is mistyped or cut off: its checksum is wrong."
NOT_VALID = "This key is not valid: it may have been revoked or have expired."


@dataclass(frozen=True, slots=True)
class Known:
    """Whose a credential is. Fresh it is taken for granted; until `good_until` it is while auth cannot be asked."""

    principal: Principal
    fresh_until: float
    good_until: float


Answer = Known | HyperinferError


class Credentials:
    """Tells whose a key is, while `run` runs. Keys are remembered by their SHA-256 alone."""

    def __init__(self, auth: Caller, sessions: Sessions, *, clock: Clock, grace_s: float) -> None:
        self._auth = auth
        self._sessions = sessions
        self._clock = clock
        self._grace_s = grace_s
        self._tasks: asyncio.TaskGroup | None = None
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._rejected: OrderedDict[bytes, float] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Answer]] = {}
        self._auth_away = False

    @property
    def ready(self) -> bool:
        """Whether auth has been reached once."""
        return self._sessions.ready

    async def run(self) -> None:
        """Hold the questions to auth, until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    async def principal(self, key: str) -> Principal:
        """Whose a session token or API key is.

        Raises `Unauthenticated`, or `Unavailable` where auth cannot be asked and nothing is known of the key.
        """
        digest = sha256(key.encode()).digest()
        known = self._known.get(digest)
        now = self._clock.monotonic()
        if known is not None and now < known.fresh_until:
            return known.principal
        if self._rejected.get(digest, now) > now:
            raise Unauthenticated(NOT_VALID)
        if key.startswith("eyJ"):
            return (await self._verify(digest, key)).principal
        if api_keys.parse(key) is None:  # so that nonsense, however much of it, never reaches auth
            raise Unauthenticated(MISTYPED if key.startswith(api_keys.PREFIX) else NO_KEY)
        if known is not None and now < known.good_until:
            return (await self._renew(digest, key, known)).principal
        return self._settled(await asyncio.shield(self._ask(digest, key))).principal

    async def _verify(self, digest: bytes, token: str) -> Known:
        try:
            principal, expires_in_s = await self._sessions.verify(token)
        except Unauthenticated:
            self._reject(digest)
            raise
        until = self._clock.monotonic() + min(expires_in_s, SESSION_S)
        return self._remember(digest, Known(principal, until, until))

    async def _renew(self, digest: bytes, key: str, known: Known) -> Known:
        """Ask auth anew; while it is away, what was known stands, and nobody waits for it twice."""
        asking = self._ask(digest, key)
        await asyncio.wait([asking], timeout=0 if self._auth_away else PATIENCE_S)
        if not asking.done():
            self._auth_away = True
            return known
        answer = asking.result()
        return known if isinstance(answer, Unavailable | DeadlineExceeded) else self._settled(answer)

    def _settled(self, answer: Answer) -> Known:
        if isinstance(answer, HyperinferError):
            raise answer
        return answer

    def _ask(self, digest: bytes, key: str) -> asyncio.Task[Answer]:
        """The question to auth, asked once for all who wait for the same key."""
        asking = self._asking.get(digest)
        if asking is None:
            assert self._tasks is not None  # `run` runs
            if len(self._asking) >= MAX_ASKING:
                raise Overloaded("Too many keys are being checked at this moment.", retry_after_s=1)
            asking = self._asking[digest] = self._tasks.create_task(self._answer(digest, key), name="validate key")
        return asking

    async def _answer(self, digest: bytes, key: str) -> Answer:
        try:
            validated = await self._auth.call(VALIDATE_API_KEY, Credential(key=key), timeout_s=ASK_TIMEOUT_S)
        except (Unavailable, DeadlineExceeded):
            self._auth_away = True
            return Unavailable(
                "Keys cannot be checked now: auth cannot be reached. Try again shortly.", retry_after_s=2
            )
        except HyperinferError as error:
            self._auth_away = False
            if isinstance(error, Unauthenticated):
                self._reject(digest)
            return error
        finally:
            del self._asking[digest]
        self._auth_away = False
        return self._remember(digest, self._fresh(validated))

    def _fresh(self, validated: Validated) -> Known:
        now = self._clock.monotonic()
        return Known(validated.principal, now + validated.valid_for_s, now + validated.valid_for_s + self._grace_s)

    def _remember(self, digest: bytes, known: Known) -> Known:
        self._rejected.pop(digest, None)
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known

    def _reject(self, digest: bytes) -> None:
        self._known.pop(digest, None)
        self._rejected[digest] = self._clock.monotonic() + REJECTED_S
        self._rejected.move_to_end(digest)
        if len(self._rejected) > MAX_REJECTED:
            self._rejected.popitem(last=False)
