"""Errors in Anthropic's shape, and in its words: which of its fields the gateway means."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from hyperinfer.edge.dialects import Reworded
from hyperinfer.edge.errors import status_of
from hyperinfer.errors import ContextExceeded, HyperinferError

TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's type by HTTP status; its clients make their exception of the status, and try a 503 again as they do its 529."""
FAULT = "api_error"

NAMES: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^tools\[(\d+)\]\.function\.parameters", r"tools[\1].input_schema"),
        (r"^tools\[(\d+)\]\.function", r"tools[\1]"),
        (r"^response_format(\.json_schema)?", "output_config.format"),
        (r"^parallel_tool_calls$", "tool_choice.disable_parallel_tool_use"),
        (r"^reasoning_effort$", "thinking"),
        (r"^stop\b", "stop_sequences"),
        (r"^continues$", "messages"),
        (r"^user$", "metadata.user_id"),
    )
]
"""Fields of a chat, and what they are made of."""
IN_MESSAGE = re.compile(r"^messages\[(\d+)\].*")


class ErrorDetail(Struct, frozen=True):
    """What is wrong."""

    type: str
    message: str


class ErrorReply(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """The answer to a request that failed, and the event that breaks a stream off."""

    error: ErrorDetail
    request_id: str | None = None


_encoder = msgspec.json.Encoder()


def reply_of(error: HyperinferError, request_id: str | None = None) -> ErrorReply:
    """An error in Anthropic's shape."""
    return ErrorReply(ErrorDetail(TYPES.get(status_of(error), _other(status_of(error))), error.message), request_id)


def body_of(error: HyperinferError) -> bytes:
    """The same as JSON."""
    return _encoder.encode(reply_of(error))


def reworded(places: Sequence[str]) -> Reworded:
    """Says errors by the names of Anthropic's fields; `places` are those that each message of the chat comes from.

    A prompt that is too long is said in Anthropic's own words: applications look for them to know when to summarize.
    """

    def say(error: HyperinferError) -> HyperinferError:
        known = error.details.get("prompt_tokens"), error.details.get("context_tokens")
        if isinstance(error, ContextExceeded) and all(known):
            return ContextExceeded(f"prompt is too long: {known[0]} tokens > {known[1]} maximum", **error.details)
        param = error.details.get("param")
        if not isinstance(param, str) or not param:
            return error
        name = _name(param, places)
        if name == param:
            return error
        return type(error)(error.message.replace(param, name), **{**error.details, "param": name})

    return say


def _name(param: str, places: Sequence[str]) -> str:
    if (message := IN_MESSAGE.match(param)) and int(message[1]) < len(places):
        return places[int(message[1])]
    for pattern, name in NAMES:
        if pattern.match(param):
            return pattern.sub(name, param)
    return param


def _other(status: int) -> str:
    return "invalid_request_error" if status < 500 else FAULT
