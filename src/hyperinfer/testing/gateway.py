"""A gateway that answers what a test tells it to, for whatever is written against the gateway's contract."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import UnknownMethod
from hyperinfer.kernel.calls import Send

Answer = Callable[[Any, Meta, Send | None], Awaitable[Any]]
"""Answers one call: its request, its meta, and where the chunks of a stream go."""


class FakeGateway:
    """A `Caller` of the gateway's contract; `answers` are by method name, `calls` are those made so far."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any, Meta]] = []

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Answer as told; a method that was not told of fails as an unknown one."""
        self.calls.append((method.name, request, meta))
        answer = self.answers.get(method.name)
        if answer is None:
            raise UnknownMethod(f"There is no method {method.name!r} here.")
        return cast(Reply, await answer(request, meta, sink))


def always(reply: Any) -> Answer:
    """The same reply to every call; an exception is raised."""

    async def answer(request: Any, meta: Meta, sink: Send | None) -> Any:
        if isinstance(reply, Exception):
            raise reply
        return reply

    return answer
