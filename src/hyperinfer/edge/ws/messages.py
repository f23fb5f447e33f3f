"""Messages of `/ws` to and from JSON, and what a start comes to as a request to the gateway."""

import math

import msgspec
from msgspec import UNSET, Raw, UnsetType

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import Infer, RateLimitInfo
from hyperinfer.contracts.inference import Kind
from hyperinfer.edge.dialects.openai.passed_on import StreamWanted
from hyperinfer.edge.errors import shown
from hyperinfer.errors import BadRequest, HyperinferError, Unsupported
from hyperinfer.protocol.typed_json import decode


class _Request(StreamWanted, frozen=True):
    """What is looked at of an OpenAI request here; the worker reads the rest."""

    messages: Raw | UnsetType = UNSET
    prompt: Raw | UnsetType = UNSET
    n: int | None = None


_encoder = msgspec.json.Encoder()
_message: msgspec.json.Decoder[ws.ClientMessage] = msgspec.json.Decoder(ws.ClientMessage)
_request = msgspec.json.Decoder(_Request)


def read(text: str) -> ws.ClientMessage:
    """A message of a client's. Raises `BadRequest` naming the field."""
    return decode(_message, text.encode())


def written(message: ws.ServerMessage) -> str:
    """A message as it is sent."""
    return _encoder.encode(message).decode()


def wanted(start: ws.Start) -> tuple[Infer, bool]:
    """What the gateway is asked for, and whether as a stream. Raises `BadRequest` naming the field of the request."""
    asked = decode(_request, start.request)
    if asked.messages is UNSET and asked.prompt is UNSET:
        raise BadRequest("messages is missing; a completion has a prompt instead.", param="messages")
    if asked.messages is not UNSET and asked.prompt is not UNSET:
        raise BadRequest("A request has messages or a prompt, not both.", param="prompt")
    if (asked.n or 1) > 1:
        raise Unsupported("A conversation has one answer: start another for another one.", param="n")
    kind: Kind = "completion" if asked.messages is UNSET else "chat"
    return Infer(body=start.request, kind=kind, cache=start.cache), asked.stream is not False


def fault(error: HyperinferError) -> ws.Fault:
    """An error as a message holds it."""
    look, param = shown(error), error.details.get("param")
    wait_s = error.details.get("retry_after_s")
    return ws.Fault(
        message=error.message,
        type=look.type,
        param=param if isinstance(param, str) and param else None,
        code=look.code,
        retry_after_s=max(0.0, float(wait_s)) if isinstance(wait_s, int | float) and math.isfinite(wait_s) else UNSET,
    )


def limits(info: RateLimitInfo | None) -> ws.Limits | None:
    """What the limits leave, as a message holds it."""
    return None if info is None else msgspec.convert(info, ws.Limits, from_attributes=True)
