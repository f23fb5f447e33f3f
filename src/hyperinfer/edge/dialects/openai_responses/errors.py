"""What the gateway and its workers refuse, said by the names that a request for a response has for the fields."""

import re
from collections.abc import Sequence

from hyperinfer.edge.dialects import Reworded
from hyperinfer.edge.dialects.openai_responses.answers import ResponseFailure
from hyperinfer.edge.dialects.openai_responses.fields import OF_CHAT
from hyperinfer.edge.dialects.openai_responses.items import Origin
from hyperinfer.edge.errors import ErrorBody, shown
from hyperinfer.errors import BadRequest, HyperinferError, RateLimited

MESSAGE = re.compile(r"messages\[(\d+)\](.*)")
CALL = re.compile(r"\.tool_calls(?:\[(\d+)\](.*))?")
PLACES: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"tools\[(\d+)\]\.function"), r"tools[\1]"),
    (re.compile(r"response_format\.json_schema"), "text.format"),
    (re.compile(r"logprobs"), "include"),
    *((re.compile(re.escape(theirs)), ours) for theirs, ours in OF_CHAT.items()),
)
"""How a field of a chat begins, and what it is called here; the first that fits."""
IN_A_CALL = {".id": ".call_id", ".function.name": ".name", ".function.arguments": ".arguments"}


def reworded(origins: Sequence[Origin]) -> Reworded:
    """For a request whose messages come from there."""

    def said(error: HyperinferError) -> HyperinferError:
        theirs = error.details.get("param")
        if not isinstance(theirs, str):
            return error
        ours = name_of(theirs, origins)
        if ours == theirs:
            return error
        return type(error)(error.message.replace(theirs, ours), **error.details | {"param": ours})

    return said


def name_of(field: str, origins: Sequence[Origin]) -> str:
    """What a field of a chat is called here."""
    in_message = MESSAGE.fullmatch(field)
    if in_message is not None:
        index = int(in_message[1])
        return _in_message(origins[index], in_message[2]) if index < len(origins) else "input"
    for pattern, ours in PLACES:
        found = pattern.match(field)
        if found is not None and field[found.end() : found.end() + 1] in ("", ".", "["):
            return found.expand(ours) + field[found.end() :]
    return field


def _in_message(origin: Origin, rest: str) -> str:
    if not origin.at.startswith("input["):
        return origin.at
    in_call = CALL.fullmatch(rest)
    if in_call is not None:
        index = int(in_call[1] or 0)
        at = origin.calls[index] if index < len(origin.calls) else origin.at
        return at + IN_A_CALL.get(in_call[2] or "", "")
    if rest == ".tool_call_id":
        return f"{origin.at}.call_id"
    return origin.at + rest.removesuffix(".url")


def error_of(error: HyperinferError) -> ErrorBody:
    """An error as OpenAI's other APIs have it."""
    look = shown(error)
    param = error.details.get("param")
    return ErrorBody(error.message, look.type, param if isinstance(param, str) and param else None, look.code)


def failure_of(error: HyperinferError) -> ResponseFailure:
    """Why a response failed, by the few codes that there are for that."""
    match error:
        case RateLimited():
            return ResponseFailure("rate_limit_exceeded", error.message)
        case BadRequest():
            return ResponseFailure("invalid_prompt", error.message)
        case _:
            return ResponseFailure("server_error", error.message)
