"""Serves the operations of one path: credential, query and body are checked before an operation sees a request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hyperinfer.contracts.method import Meta
from hyperinfer.edge.bodies import Bodies
from hyperinfer.edge.cookies import BROKEN, check_not_elsewhere, check_same_site, session_of
from hyperinfer.edge.errors import SessionCookieRefused
from hyperinfer.edge.operations import Asked, Group, Operation
from hyperinfer.edge.request import SAFE_METHODS, RequestHead, head_of
from hyperinfer.edge.shapes import Shape
from hyperinfer.errors import BadRequest, Unauthenticated
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.protocol.typed_json import refusal

MAX_AGENT_CHARS = 200
MAX_QUERY_FIELDS = 32


def routes_of(groups: Iterable[Group], gateway: Caller, settings: HttpSettings, bodies: Bodies) -> Sequence[Route]:
    """A route for each path of these groups."""
    by_path: dict[str, list[Operation]] = {}
    for group in groups:
        for operation in group.operations:
            by_path.setdefault(operation.path, []).append(operation)
    return [
        Route(
            path, Endpoint(operations, gateway, settings, bodies), methods=[operation.verb for operation in operations]
        )
        for path, operations in by_path.items()
    ]


class Endpoint:
    """One path."""

    def __init__(
        self, operations: Sequence[Operation], gateway: Caller, settings: HttpSettings, bodies: Bodies
    ) -> None:
        self._operations = {operation.verb: operation for operation in operations if not operation.when}
        self._special = [(operation.when.encode(), operation) for operation in operations if operation.when]
        self._gateway = gateway
        self._settings = settings
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        verb = scope["method"]
        head = head_of(scope)
        headers = head.headers
        operation = self._operation("GET" if verb == "HEAD" else verb, headers)
        assert operation.answer is not None
        if verb not in SAFE_METHODS:
            check_not_elsewhere(headers)
        secure = self._settings.secure_cookies or scope["scheme"] == "https" or _from_https(head)
        session = session_of(headers) if operation.takes_cookie and not head.key else None
        if operation.access.kind == "public":
            session = None
        try:
            asked = Asked(
                gateway=self._gateway,
                head=head,
                meta=_meta(operation, verb, head, headers, session),
                path=scope["path_params"],
                query=_query(operation.query, scope["query_string"]),
                body=await self._body(operation.body, receive),
                receive=receive,
                in_cookie=session is not None,
                secure=secure,
                agent=_printable(headers.get(b"user-agent", b"")),
                accept=headers.get(b"accept", b"").decode("latin-1"),
            )
            response = await operation.answer(asked)
            await response(scope, receive, send)  # which may ask on its way
        except Unauthenticated as error:
            if session is None:
                raise
            raise SessionCookieRefused(error.message, secure=secure) from error

    def _operation(self, verb: str, headers: Mapping[bytes, bytes]) -> Operation:
        for header, operation in self._special:
            if header in headers and operation.verb == verb:
                return operation
        return self._operations[verb]

    async def _body(self, kind: Shape | None, receive: Receive) -> Any:
        if kind is None:
            return None
        return await self._bodies.read_json(receive, kind)


def _meta(
    operation: Operation, verb: str, head: RequestHead, headers: Mapping[bytes, bytes], session: str | None
) -> Meta:
    """What goes with the call. Raises `Unauthenticated`, or `Forbidden` for a cookie that another site has sent."""
    if operation.access.kind == "public":
        return head.meta
    if session is None:
        return head.authenticated_meta
    if session == BROKEN:
        raise Unauthenticated("The session cookie is broken: log in again.")
    if verb not in SAFE_METHODS:
        check_same_site(headers, session)
    return msgspec.structs.replace(head.meta, key=session)


def _query(kind: Shape | None, text: bytes) -> Any:
    """The query string as a struct. Raises `BadRequest` naming the field."""
    if kind is None:
        return None
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError as error:  # an unreadable escape is a UnicodeError, which is one
        raise BadRequest("The query string cannot be read: it must be escaped UTF-8.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("The query string has a field twice.")
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(str(error), kind) from error


def _from_https(head: RequestHead) -> bool:
    """Whether a browser says that it sees us over HTTPS, as behind a proxy that ends TLS."""
    return head.origin is not None and head.origin.lower() == f"https://{head.host.lower()}"


def _printable(text: bytes) -> str:
    return "".join(char for char in text.decode("latin-1") if char.isascii() and char.isprintable())[:MAX_AGENT_CHARS]
