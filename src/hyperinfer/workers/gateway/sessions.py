"""Session tokens, verified here by auth's public keys, so that no request waits for auth."""

import asyncio

import jwt
import structlog

from hyperinfer.contracts.auth import JWKS, Principal
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import HyperinferError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller
from hyperinfer.protocol import session_tokens

REFRESH_S = 300.0
"""How often auth's keys are asked for again."""
RETRY_S = 1.0
"""Pause between two tries while auth cannot be reached."""
ASK_AGAIN_S = 5.0
"""How often at most an unknown key id has auth asked for its keys."""
ASK_TIMEOUT_S = 5.0
MAX_KEYS = 64


class Sessions:
    """Verifies session tokens by auth's public keys. `run` keeps the keys current."""

    def __init__(self, auth: Caller, *, clock: Clock) -> None:
        self._auth = auth
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self._log = structlog.get_logger(__name__)

    @property
    def ready(self) -> bool:
        """Whether auth's keys are known."""
        return bool(self._keys)

    async def run(self) -> None:
        """Keep auth's keys current, until cancelled. Those known stay while auth is away."""
        while True:
            try:
                await self._refresh()
            except HyperinferError as error:
                self._log.debug("jwks_not_fetched", reason=error.message)
            await self._clock.sleep(REFRESH_S if self._keys else RETRY_S)

    async def verify(self, token: str) -> tuple[Principal, float]:
        """Whose session a token is, and for how many seconds yet.

        Raises `Unauthenticated`, or `Unavailable` while auth's keys are not known.
        """
        key = await self._key(session_tokens.key_id_of(token))
        now = self._clock.now().timestamp()
        claims = session_tokens.verify(token, key, now=now)
        return claims.principal, claims.exp - now

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys:
            await self._ask_for(kid)
        key = self._keys.get(kid)
        if key is None:
            raise session_tokens.not_valid()
        return key

    async def _ask_for(self, kid: str) -> None:
        """Ask auth for its keys because one is missing, though not more often than now and then."""
        async with self._asking:
            if kid in self._keys or (self._keys and self._clock.monotonic() - self._asked_at < ASK_AGAIN_S):
                return
            try:
                await self._refresh()
            except HyperinferError as error:
                if not self._keys:
                    raise Unavailable(
                        "Sessions cannot be checked now: auth cannot be reached. Try again shortly.", retry_after_s=2
                    ) from error

    async def _refresh(self) -> None:
        self._asked_at = self._clock.monotonic()
        reply = await self._auth.call(JWKS, Nothing(), timeout_s=ASK_TIMEOUT_S)
        self._keys = {key["kid"]: session_tokens.public_key(key) for key in reply.keys[:MAX_KEYS] if "kid" in key}
