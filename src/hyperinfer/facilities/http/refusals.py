"""What the server itself refuses, before an app has seen it: as JSON, in the shape of OpenAI's errors, under a request id."""

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


def refusal(message: str, *, code: str, of: str = "invalid_request_error") -> tuple[Headers, bytes]:
    """Headers and body of a refusal, after which the connection ends."""
    error: Mapping[str, Any] = {"message": message, "type": of, "param": None, "code": code}
    body = msgspec.json.encode({"error": error})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", b"req_%b" % secrets.token_hex(12).encode()),
        (b"connection", b"close"),
    ]
    return headers, body


async def no_room(scope: Scope, receive: Receive, send: Send) -> None:
    """The app of a connection that is one too many."""
    headers, body = refusal(
        "This server has as many connections as it may have (http.max_connections). Come again in a moment.",
        code="overloaded",
        of="server_error",
    )
    headers += [(b"retry-after", b"1"), (b"x-should-retry", b"true")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
