"""What carries one HTTP exchange to a gateway and back. Whatever is above it is the same over HTTP and over the swarm."""

from collections.abc import Mapping
from typing import Protocol


class Reply(Protocol):
    """The reply to one request, whose body comes as it is read. Whoever has it closes it."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with names in lower case."""

    async def piece(self) -> bytes:
        """What has come of the body since the last piece, waited for; empty at its end. Raises `PeerLost`."""

    def close(self) -> None:
        """Take no more. What is not read yet is hung up on, which stops the work at the other end."""


class Carrier(Protocol):
    """A way to one gateway. It is opened once and closed once, in one event loop, by whichever tasks."""

    async def open(self) -> None:
        """Be ready to carry. Raises `StartError` where that cannot be."""

    async def close(self) -> None:
        """Carry no more, and give back what was needed for it."""

    async def reach(self) -> None:
        """Be in contact with the gateway, where that is something apart from sending to it; at once if so already.

        It has a deadline of its own. Raises `Unavailable` if no gateway could be reached.
        """

    async def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request and wait for the head of its reply; `target` is path and query, header names are in lower case.

        Nothing is ever sent twice, and no redirect is followed. Cancelling hangs up. Raises `PeerLost` for an exchange
        that broke off, `Unavailable` where nobody is there to be sent to.
        """
