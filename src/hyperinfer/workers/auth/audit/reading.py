"""Where the audit log can be read: auth's own database, a replica of it, or the database as a command opens it."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession


class Readable(Protocol):
    """Gives out sessions that read; they raise `Unavailable` where the database cannot be used now."""

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session on one consistent view."""
