"""Ollama's refusals as errors of ours. Pure.

Texts as recorded from 0.32.15 and as they are in https://github.com/ollama/ollama/tree/main/server.
"""

import re

import msgspec
from msgspec import Struct

from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ContextExceeded,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unavailable,
    Unsupported,
)

RETRY_AFTER_S = 2.0
MAX_SHOWN_CHARS = 300
TOO_LONG = ("exceeds the available context size", "exceeds the context length", "exceeds maximum context length")
COUNTED = re.compile(r"\((\d+) tokens\) exceeds the available context size \((\d+) tokens\)")
"""What the engine behind Ollama says of a prompt that is too long; its JSON is inside Ollama's text."""
NO_MEMORY = re.compile(r"model requires more system memory \([\w. ]+\) than is available(?: \([\w. ]+\))?")


class Refusal(Struct, frozen=True):
    """The body of an answer that is no success, and the line of a stream that fails."""

    error: str = ""


_refusal = msgspec.json.Decoder(Refusal)


def refusal(status: int, body: bytes, *, model: str, param: str, retry_after: str = "") -> HyperinferError:
    """What an answer with this status and body means. `param` is where the request has its prompt; `retry_after` is the
    header's text.
    """
    said = said_of(body)
    if any(text in said for text in TOO_LONG):
        return _too_long(said, param)
    if status == 404 and "not found" in said:
        return ModelNotFound(f"Ollama has no model {model[:200]!r} any more.", model=model[:200])
    if status in (400, 501):
        if "does not support" in said:
            return Unsupported(f"The model cannot take this request: {said[:MAX_SHOWN_CHARS]}", param="model")
        return BadRequest(f"The model cannot take this request: {said[:MAX_SHOWN_CHARS]}", param="")
    if status in (429, 503):
        wait_s = float(retry_after) if retry_after.isdecimal() else RETRY_AFTER_S
        return Overloaded("Ollama is busy.", retry_after_s=wait_s)
    if shortage := NO_MEMORY.search(said):
        return Unavailable(f"Ollama cannot load the model: {shortage.group()}.", retry_after_s=RETRY_AFTER_S)
    if status in (401, 403):
        return BackendFailed("The model's server does not let this worker in.")
    return BackendFailed("Ollama could not run the model." if status == 500 else f"Ollama answered {status}.")


def said_of(body: bytes) -> str:
    """The text of a refusal; empty for one that is not Ollama's."""
    try:
        return _refusal.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _too_long(said: str, param: str) -> ContextExceeded:
    counted = COUNTED.search(said)
    if counted is None:
        return ContextExceeded("This is more than the model's context holds.", param=param)
    prompt_tokens, context_tokens = (int(number[:9]) for number in counted.groups())
    return ContextExceeded(
        f"This has {prompt_tokens} tokens; the model takes {context_tokens}, the answer included.",
        param=param,
        prompt_tokens=prompt_tokens,
        context_tokens=context_tokens,
    )
