"""What a route is: declared once, with all that its handler and its description in OpenAPI need."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from starlette.responses import Response
from starlette.types import Receive

from hyperinfer.contracts.method import Access, Meta, Method, Nothing, Reply, Request, Wire
from hyperinfer.edge.request import RequestHead
from hyperinfer.edge.responses import json_response, no_content
from hyperinfer.edge.shapes import Shape, body_shape, given, listing, query_shape, reply_shape, request_of, shown
from hyperinfer.kernel.calls import Caller, Send

JSON = "application/json"
EVENTS = "text/event-stream"
COOKIE_PATHS = "/api/"
"""Where the session cookie is taken: nowhere else."""
TIMEOUT_S = 30.0
"""How long a method may take that reaches no model."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of bodies and replies that no contract has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that may be answered: its credential is there where one is needed, its fields are within bounds.

    `in_cookie` says that the credential came in the session cookie; `agent` is what the client calls itself, `accept`
    what it would like to have.
    """

    gateway: Caller
    head: RequestHead
    meta: Meta
    path: Mapping[str, str]
    body: Any
    query: Any
    receive: Receive
    in_cookie: bool = False
    secure: bool = False
    agent: str = ""
    accept: str = ""

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        timeout_s: float = TIMEOUT_S,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of the gateway's contract for who asks; chunks of a stream go to the sink."""
        return await self.gateway.call(method, request, meta=self.meta, timeout_s=timeout_s, sink=sink)


Answer = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route: `verb` on `path`. `body` and `query` say what it takes, `replies` what it may answer as JSON; `headers` are
    those of the request that mean something here alone, as OpenAPI describes them.

    `finds` is true where its query names something that may not be there.

    `media` are the forms of its answer; `also` is what else it says under another status. Without an
    `answer` it is served by itself, ahead of the router, and is only described. `cookie` is false where a browser's
    session is never taken though the path begins as ours. `when` names a header: a request that has it is answered by this
    one instead of the other on the same path.
    """

    verb: str
    path: str
    summary: str
    access: Access
    answer: Answer | None
    body: Shape | None = None
    query: Shape | None = None
    finds: bool = False
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    replies: Sequence[Any] = ()
    status: int = 200
    media: Sequence[str] = (JSON,)
    also: Mapping[int, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)
    cookie: bool = True
    when: str = ""

    @property
    def takes_cookie(self) -> bool:
        """Whether a browser's session in a cookie is a credential here."""
        return self.cookie and self.path.startswith(COOKIE_PATHS)


@dataclass(frozen=True, slots=True)
class Group:
    """Routes that belong together. `error` is the shape in which they refuse, where that is not OpenAI's."""

    name: str
    operations: Sequence[Operation]
    error: Shape | None = None


def names_in(path: str) -> frozenset[str]:
    """The names of a path's parameters."""
    return frozenset(part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{"))


def passing_on(
    verb: str,
    path: str,
    method: Method[Any, Any],
    summary: str,
    *,
    status: int = 200,
    rows: str = "",
    without: Sequence[str] = (),
    example: Mapping[str, Any] | None = None,
    then: Callable[[Asked, Response], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Operation:
    """A route that is a method of the gateway.

    Its request's fields come from the path, and else from the query of a GET or the body of anything else; those
    `without` which it is are never taken. `rows` is the field of the reply that is a list, to be shown as one. `then`
    may add to the answer.
    """
    request: type[Wire] = method.request
    reply_kind: type[Wire] = method.reply
    kept = names_in(path) | frozenset(without)
    in_query = verb == "GET"
    has_fields = bool(set(request.__struct_fields__) - kept)
    body = body_shape(request, kept) if has_fields and not in_query else None
    query = query_shape(request, kept) if has_fields and in_query else None
    empty = reply_kind is Nothing
    replies = () if empty else (_list_of(reply_kind, rows) if rows else reply_shape(reply_kind),)

    async def answer(asked: Asked) -> Response:
        reply = await asked.call(method, wanted(request, asked), timeout_s=timeout_s)
        response = no_content() if empty else json_response(_page(reply, rows) if rows else shown(reply), status)
        if then is not None:
            then(asked, response)
        return response

    return Operation(
        verb=verb,
        path=path,
        summary=summary,
        access=method.access,
        answer=answer,
        body=body,
        query=query,
        replies=replies,
        status=204 if empty else status,
        example=example or {},
    )


def wanted(kind: type[Request], asked: Asked, **more: Any) -> Request:
    """A contract's request from a route's path, query and body. Raises `BadRequest` for what is out of bounds."""
    fields = {**more, **asked.path}
    for part in (asked.query, asked.body):
        if part is not None:
            known = kind.__struct_fields__  # type: ignore[attr-defined]  # requests are Structs
            fields |= {name: value for name, value in given(part).items() if name in known}
    return cast(Request, request_of(cast(type[Wire], kind), fields))


def page_of(rows: Sequence[Wire], following: str | None = None) -> dict[str, Any]:
    """A list as HTTP shows it."""
    return {"object": "list", "data": [shown(row) for row in rows], "next": following}


def _page(reply: Any, rows: str) -> dict[str, Any]:
    return page_of(getattr(reply, rows), getattr(reply, "next", None))


def _list_of(kind: type[Wire], rows: str) -> Shape:
    [item] = {one.type.__args__[0] for one in msgspec.structs.fields(kind) if one.name == rows}
    return listing(item)
