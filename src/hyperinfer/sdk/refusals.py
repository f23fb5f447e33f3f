"""From an HTTP refusal to an error of ours: the table of the edge, read backwards."""

from collections.abc import Mapping

import msgspec

from hyperinfer.edge.errors import SHOWN
from hyperinfer.errors import BadRequest, HyperinferError, RemoteError

MAX_SHOWN_CHARS = 200

BY_CODE = {shown.code: kind for kind, shown in SHOWN.items() if shown.code}
BY_STATUS = {shown.status: kind for kind, shown in reversed(SHOWN.items())}
"""The most general class of each status, for servers whose codes we do not know."""


class Refusal(msgspec.Struct, frozen=True):
    """OpenAI's error object, of which every field but the message may be missing."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class Envelope(msgspec.Struct, frozen=True):
    """OpenAI's error reply."""

    error: Refusal


_decoder = msgspec.json.Decoder(Envelope)


def from_reply(status: int, body: bytes, headers: Mapping[str, str]) -> HyperinferError:
    """The error that a reply with a status of 300 or more stands for; never raises."""
    details: dict[str, object] = {"status": status}
    if (after := headers.get("retry-after", "")).isdigit():
        details["retry_after_s"] = int(after)
    if 300 <= status < 400:
        return BadRequest(f"The server sends us elsewhere (status {status}); give it its final address.", **details)
    try:
        refusal = _decoder.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return BY_STATUS.get(status, RemoteError)(
            f"The server answered with status {status} and no reason; is a hyperinfer gateway there?", **details
        )
    return _error(refusal, BY_STATUS.get(status, RemoteError), details)


def from_event(refusal: Refusal) -> HyperinferError:
    """The error that ends a stream which had begun."""
    return _error(refusal, BadRequest if refusal.type == "invalid_request_error" else RemoteError, {})


def _error(refusal: Refusal, otherwise: type[HyperinferError], details: dict[str, object]) -> HyperinferError:
    kind = BY_CODE.get(str(refusal.code), otherwise)
    if refusal.param:
        details["param"] = refusal.param
    return kind(refusal.message[:MAX_SHOWN_CHARS] or "The server refused without saying why.", **details)
