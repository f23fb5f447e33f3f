"""The caller's API keys: `client.keys`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from hyperinfer.sdk.calls import Calls, at
from hyperinfer.sdk.people import Key, Limits, NewKey, Scope
from hyperinfer.sdk.reports import Page

KEYS = "/api/auth/api-keys"
NEVER = ""
"""The expiry of a key that has none, where one is taken away."""


class Keys:
    """API keys of the account that the credential is of. They take a session, or a key with the scope `account`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> tuple[Key, ...]:
        """Every key, newest first, without its secret."""
        return (await self._calls.get(KEYS, Page[Key])).data

    async def create(
        self,
        name: str,
        *,
        expires_at: datetime | None = None,
        scopes: Sequence[Scope] | None = None,
        models: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> NewKey:
        """A new key; its secret is shown this once.

        `scopes` are `inference` and `usage` unless said; `models` are those that it may use, where a `*` at the end stands for
        any ending; `limits` are its own, beside those of its holder. `expires_at` has a time zone.
        """
        return await self._calls.send(
            "POST", KEYS, NewKey, name=name, expires_at=expires_at, scopes=scopes, models=models, limits=limits
        )

    async def update(
        self,
        key_id: str,
        *,
        name: str | None = None,
        expires_at: datetime | Literal["never"] | None = None,
        scopes: Sequence[Scope] | None = None,
        models: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> Key:
        """Change a key; what is left out stays. `models` and `limits` take the place of those before."""
        ends = NEVER if expires_at == "never" else expires_at
        return await self._calls.send(
            "PATCH", at(KEYS, key_id), Key, name=name, expires_at=ends, scopes=scopes, models=models, limits=limits
        )

    async def rotate(self, key_id: str, *, overlap_s: int = 24 * 3600) -> NewKey:
        """A new key with the settings of an old one, which works for `overlap_s` seconds still (30 days at most)."""
        return await self._calls.send("POST", f"{at(KEYS, key_id)}/rotate", NewKey, overlap_s=overlap_s)

    async def revoke(self, key_id: str) -> Key:
        """End a key, at every gateway within seconds."""
        return await self._calls.send("DELETE", at(KEYS, key_id), Key)
