"""What a handler gets and what a caller uses: one call of a contract method, whoever carries it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import InternalError, Unauthenticated

Send = Callable[[Sequence[bytes]], Awaitable[None]]
"""Takes the next chunks of a stream, each one raw JSON; returns when more may be sent."""


class Note(Protocol):
    """Takes facts about a call that is under way."""

    def __call__(self, **facts: Any) -> None:
        """By name."""


def note_nothing(**facts: Any) -> None:
    """Nobody wants to know."""


class Call(msgspec.Struct, frozen=True):
    """Everything about one call but its request.

    `caller` is the peer's public key, `roles` are its roles in the swarm (none for a stranger), `remote` the host that
    it calls from (what our own HTTP server saw, for calls from inside), `deadline` is on the clock's monotonic scale.
    `note` takes facts for the log and the trace (model, tokens, …), never a text that a person wrote.
    `send` is there when the caller asked for a stream; cancellation reaches the handler as
    `asyncio.CancelledError`.
    """

    caller: bytes
    roles: frozenset[str]
    meta: Meta
    deadline: float
    who: Principal | None = None
    send: Send | None = None
    remote: str = ""
    note: Note = note_nothing

    @property
    def principal(self) -> Principal:
        """Who the call acts for; there on every `user` and `admin` method. Raises `Unauthenticated`."""
        if self.who is None:
            raise Unauthenticated("This needs a session token or an API key.")
        return self.who

    @property
    def stream(self) -> Send:
        """Where chunks go, for a handler that can only stream."""
        if self.send is None:
            raise InternalError("This method streams only.")
        return self.send


Handler = Callable[[Any, Call], Awaitable[Any]]
Authenticate = Callable[[Call], Awaitable[Principal]]
"""Tells whose credential a call's `meta.key` is. Raises `Unauthenticated`, or `Unavailable` if it cannot tell now."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and who answers it."""

    method: Method[Any, Any]
    handler: Handler


def route(method: Method[Request, Reply], handler: Callable[[Request, Call], Awaitable[Reply]]) -> Route:
    """A method and its handler, with their types held against each other."""
    return Route(method, handler)


class Caller(Protocol):
    """A contract within reach: in this process, or at a peer."""

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method; with `sink` its chunks are passed on as they come, and the reply comes last.

        A slow sink holds the sender back. Cancelling the call stops the work at the other end.
        Raises what the method raises, and the errors of the net.
        """
