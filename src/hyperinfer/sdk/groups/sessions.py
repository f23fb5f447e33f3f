"""Logging in and out, and the sessions that last: `client.sessions`."""

from hyperinfer.sdk.calls import Calls, at
from hyperinfer.sdk.people import OpenSession, Session
from hyperinfer.sdk.reports import Page

SESSIONS = "/api/auth/sessions"


class Sessions:
    """Sessions of the account that the credential is of. All but `login` take a session."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def login(self, name: str, password: str) -> Session:
        """Open a session; `name` is a username or an e-mail.

        The client itself goes on with what it was made with: to act in the session, make another with its
        `access_token`. Raises `Unauthenticated` for a wrong name or password, `RateLimited` after many of these.
        """
        return await self._calls.send("POST", "/api/auth/login", Session, username=name, password=password)

    async def refresh(self) -> Session:
        """The same session with a new token, which lasts longer."""
        return await self._calls.send("POST", "/api/auth/refresh", Session)

    async def logout(self) -> None:
        """End this session, at every gateway within seconds."""
        await self._calls.do("POST", "/api/auth/logout")

    async def list(self) -> tuple[OpenSession, ...]:
        """The sessions that last, newest first."""
        return (await self._calls.get(SESSIONS, Page[OpenSession])).data

    async def end(self, session_id: str) -> tuple[OpenSession, ...]:
        """End a session by its id; those that are left."""
        return (await self._calls.send("DELETE", at(SESSIONS, session_id), Page[OpenSession])).data

    async def end_others(self) -> tuple[OpenSession, ...]:
        """End every session but this one; those that are left."""
        return (await self._calls.send("DELETE", SESSIONS, Page[OpenSession])).data
