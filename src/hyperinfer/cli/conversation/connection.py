"""The gateway that a chat talks with, and as whom: both may change while it lasts."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from hyperinfer.cli.gateway import account_at, address_of, opened, renewed
from hyperinfer.errors import Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import AsyncClient


class Connection:
    """A client of one gateway under one credential, or under none yet. An async context manager."""

    def __init__(self, gateway: str | None) -> None:
        self._gateway = gateway
        self._stack = AsyncExitStack()
        self._client: AsyncClient | None = None
        self.address = ""
        self.credential = ""

    async def __aenter__(self) -> Self:
        try:
            account = await renewed(account_at(self._gateway))
            await self.change(account.gateway, account.to_models(SystemClock().now()))
        except Unauthenticated:
            await self.change(address_of(self._gateway), "")  # to log in here
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def client(self) -> AsyncClient:
        """The client, under the credential of now."""
        if self._client is None:
            raise RuntimeError("A connection is a context manager.")
        return self._client

    @property
    def asking(self) -> AsyncClient:
        """The same, to ask models. Raises `Unauthenticated` where nobody is logged in."""
        if not self.credential:
            raise Unauthenticated(f"You are not logged in at {self.address}. Type /login, or /register.")
        return self.client

    async def change(self, address: str, credential: str) -> None:
        """Talk with this gateway as this from now on."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        self._client = await self._stack.enter_async_context(opened(address, credential))
        self.address, self.credential = address, credential
