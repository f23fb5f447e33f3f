"""Errors on the wire: a JSON string that begins with `[HRPC_ERR]=`, as hp-svc-facs-net tests for.

Ours is `[HRPC_ERR]=CODE: message {json}`; the JSON at the end holds `retryable` and the details. A peer that is not
ours sends any text after the sign.
"""

import re

import msgspec

from hyperinfer.errors import HyperinferError, RemoteError, from_code
from hyperinfer.protocol.typed_json import UNREADABLE

SIGN = "[HRPC_ERR]="
_JSON_SIGN = b'"[HRPC_ERR]='
MAX_BYTES = 256 * 1024
"""Of an error that is read."""
MAX_BRACES = 32
"""At so many places of a text its details are looked for."""
MAX_WAIT_S = 30 * 24 * 3600.0
OURS = frozenset({"self", "message", "retryable"})
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
        text = msgspec.json.decode(reply, type=str) if len(reply) <= MAX_BYTES else None
    except UNREADABLE:
        text = None
    if text is None:
        return RemoteError("The peer answered with an error that cannot be read.")
    return parse(text.removeprefix(SIGN))


def parse(text: str) -> HyperinferError:
    """The error in the text after the sign."""
    coded = _CODED.fullmatch(text)
    if coded is None:
        return RemoteError(text or "The peer answered with an error.", remote_code=text[:64])
    message, details = _split(coded[2])
    return from_code(coded[1], message, {name: value for name, value in details.items() if _is_sound(name, value)})


def _split(text: str) -> tuple[str, dict[str, object]]:
    """Message and details. The message may hold braces itself: the last part that is a JSON object is the details."""
    start = text.rfind(" {")
    for _ in range(MAX_BRACES):
        if start < 0 or not text.endswith("}"):
            break
        try:
            return text[:start], msgspec.json.decode(text[start + 1 :], type=dict[str, object])
        except UNREADABLE:
            start = text.rfind(" {", 0, start)
    return text, {}


def _is_sound(name: str, value: object) -> bool:
    """Whether a detail can be told on: how long to wait is reckoned with, and names that are ours are not a peer's to give."""
    if name == "retry_after_s":
        return isinstance(value, int | float) and 0 <= value <= MAX_WAIT_S
    return name not in OURS


def _plain(details: dict[str, object]) -> dict[str, object]:
    """Details as JSON can hold them."""
    return {
        name: value if isinstance(value, str | int | float | bool | list | tuple | dict | None) else str(value)
        for name, value in details.items()
    }
