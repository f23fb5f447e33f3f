"""Errors on the wire: a JSON string that begins with `[HRPC_ERR]=`, as hp-svc-facs-net tests for.

Ours is `[HRPC_ERR]=CODE: message {json}`; the JSON at the end holds `retryable` and the details. A peer that is not
ours sends any text after the sign.
"""

import re

import msgspec

from hyperinfer.errors import HyperinferError, RemoteError, from_code

SIGN = "[HRPC_ERR]="
_JSON_SIGN = b'"[HRPC_ERR]='
_CODED = re.compile(r"([A-Z][A-Z0-9_]*): (.*)", re.DOTALL)


def encode(error: HyperinferError) -> bytes:
    """An error as the reply that carries it."""
    tail = msgspec.json.encode({"retryable": error.retryable, **_plain(error.details)}).decode()
    return msgspec.json.encode(f"{SIGN}{error.code}: {error.message} {tail}")


def decode(reply: bytes) -> HyperinferError | None:
    """The error that a reply carries, or nothing if it is an answer. Never raises, whatever the peer sent."""
    if not reply.startswith(_JSON_SIGN):
        return None
    try:
        text = msgspec.json.decode(reply, type=str)
    except msgspec.DecodeError:
        return RemoteError("The peer answered with an error that cannot be read.")
    return parse(text.removeprefix(SIGN))


def parse(text: str) -> HyperinferError:
    """The error in the text after the sign."""
    coded = _CODED.fullmatch(text)
    if coded is None:
        return RemoteError(text or "The peer answered with an error.", remote_code=text[:64])
    message, details = _split(coded[2])
    details.pop("retryable", None)
    return from_code(coded[1], message, details)


def _split(text: str) -> tuple[str, dict[str, object]]:
    """Message and details. The message may hold braces itself: the last part that is a JSON object is the details."""
    start = text.rfind(" {")
    while start >= 0 and text.endswith("}"):
        try:
            return text[:start], msgspec.json.decode(text[start + 1 :], type=dict[str, object])
        except msgspec.DecodeError:
            start = text.rfind(" {", 0, start)
    return text, {}


def _plain(details: dict[str, object]) -> dict[str, object]:
    """Details as JSON can hold them."""
    return {
        name: value if isinstance(value, str | int | float | bool | list | tuple | dict | None) else str(value)
        for name, value in details.items()
    }
