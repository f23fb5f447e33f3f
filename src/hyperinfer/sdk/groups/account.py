"""The caller's own account: `client.account`."""

from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.people import Registered, User

ME = "/api/me"


class OwnAccount:
    """Register, and look after the account that the credential is of. What changes it takes a session."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def register(
        self, *, email: str, password: str, username: str | None = None, code: str | None = None
    ) -> Registered:
        """Make an account; a username left out is made from the e-mail. `code` is that of an invitation.

        Raises `Conflict` for a name that is taken, `Forbidden` where registering is not for everybody.
        """
        return await self._calls.send(
            "POST", "/api/auth/register", Registered, email=email, password=password, username=username, code=code
        )

    async def get(self) -> User:
        """The account."""
        return await self._calls.get(ME, User)

    async def update(
        self, *, username: str | None = None, email: str | None = None, password: str | None = None
    ) -> User:
        """Another name or e-mail; a new e-mail takes the password. What is left out stays."""
        return await self._calls.send("PATCH", ME, User, username=username, email=email, password=password)

    async def change_password(self, *, current: str, new: str) -> None:
        """A new password; every other session ends."""
        await self._calls.do("POST", "/api/auth/password", current=current, new=new)

    async def reset_password(self, *, token: str, password: str) -> None:
        """A new password by a one-time token that an administrator has given; every session ends."""
        await self._calls.do("POST", "/api/auth/reset", token=token, password=password)

    async def export(self) -> bytes:
        """All that is kept of the account, as JSON."""
        return await self._calls.content(f"{ME}/export")

    async def delete(self, *, password: str) -> None:
        """End the account, its keys and its sessions. It cannot be undone."""
        await self._calls.do("DELETE", ME, password=password)
