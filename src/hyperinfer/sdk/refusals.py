"""From an HTTP refusal to an error of ours: the table of the edge, read backwards."""

from collections.abc import Mapping
from functools import cache

import msgspec

from hyperinfer.errors import BadRequest, HyperinferError, RemoteError

MAX_SHOWN_CHARS = 200
SHOULD_RETRY = {"true": True, "false": False}


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
    """The error that a reply with a status of 300 or more stands for; header names are in lower case. Never raises.

    Its details hold the `status`, and what the headers say: `retry_after_s`, `should_retry`, `request_id`.
    """
    details: dict[str, object] = {"status": status}
    if (after_s := _retry_after_s(headers)) is not None:
        details["retry_after_s"] = after_s
    if (should := headers.get("x-should-retry", "")) in SHOULD_RETRY:
        details["should_retry"] = SHOULD_RETRY[should]
    if named := headers.get("x-request-id"):
        details["request_id"] = named
    if 300 <= status < 400:
        return BadRequest(f"The server sends us elsewhere (status {status}); give it its final address.", **details)
    otherwise = _by_status().get(status, RemoteError)
    try:
        refusal = _decoder.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return otherwise(
            f"The server answered with status {status} and no reason; is a hyperinfer gateway there?", **details
        )
    return _error(refusal, otherwise, details)


def from_event(refusal: Refusal) -> HyperinferError:
    """The error that ends a stream which had begun."""
    return _error(refusal, BadRequest if refusal.type == "invalid_request_error" else RemoteError, {})


def _error(refusal: Refusal, otherwise: type[HyperinferError], details: dict[str, object]) -> HyperinferError:
    kind = _by_code().get(str(refusal.code), otherwise)
    if refusal.param:
        details["param"] = refusal.param
    return kind(refusal.message[:MAX_SHOWN_CHARS] or "The server refused without saying why.", **details)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """When to come again, to the millisecond where the server says so."""
    after_ms, after_s = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    if after_ms.isdecimal():
        exact_s = int(after_ms) / 1000
        return int(exact_s) if exact_s.is_integer() else exact_s
    return int(after_s) if after_s.isdecimal() else None


@cache
def _by_code() -> Mapping[str, type[HyperinferError]]:
    """The class of each code. The table is loaded with the first refusal: who is never refused need not wait for it."""
    from hyperinfer.edge.errors import SHOWN

    return {shown.code: kind for kind, shown in SHOWN.items() if shown.code}


@cache
def _by_status() -> Mapping[int, type[HyperinferError]]:
    """The most general class of each status, for servers whose codes we do not know."""
    from hyperinfer.edge.errors import SHOWN

    return {shown.status: kind for kind, shown in reversed(SHOWN.items())}
