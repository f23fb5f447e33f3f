"""Refusals of servers of OpenAI's kind as errors of ours. Pure.

Sources: https://platform.openai.com/docs/guides/error-codes, and what vLLM, SGLang and llama.cpp's server say in the same cases.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

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

WHO = "The model's server"
RETRY_AFTER_S = 2.0
LONGEST_RETRY_S = 300.0
MAX_SHOWN_CHARS = 500
MAX_PARAM_CHARS = 80
CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
CONTEXT_TEXT = re.compile(
    r"maximum context length|context length of|context size|context window|model's context length|"
    r"longer than the maximum model length|max_model_len",
    re.IGNORECASE,
)
CONTEXT_TOKENS = (
    re.compile(r"context length \D{0,4}(\d+)", re.IGNORECASE),
    re.compile(r"available context size \((\d+)"),
)
PROMPT_TOKENS = (
    re.compile(r"(\d+) in the (?:messages|prompt)"),
    re.compile(r"(\d+) (?:input|prompt) tokens"),
    re.compile(r"resulted in (\d+) tokens"),
    re.compile(r"(?:request|input) \((\d+) tokens\)"),
    re.compile(r"requested (\d+) tokens"),
)
"""Where servers tell numbers in words alone, the most telling first."""
UNPAID = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})


class KeyRefused(BackendFailed):
    """The server does not take our key, which is the operator's to mend."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: our name of the model, and the field that holds the prompt."""

    model: str
    param: str


class Said(Struct, frozen=True):
    """What a server says is wrong, of any type: servers differ."""

    message: Any = ""
    type: Any = ""
    code: Any = ""
    param: Any = ""
    n_prompt_tokens: Any = 0
    n_ctx: Any = 0


class Nested(Struct, frozen=True):
    """As OpenAI says it."""

    error: Said | str | None = None
    detail: Any = None


_nested = msgspec.json.Decoder(Nested)
_flat = msgspec.json.Decoder(Said)


def refusal(status: int, body: bytes, asked: Asked, *, headers: Mapping[str, str], now: datetime) -> HyperinferError:
    """What an answer with this status means. `now` is for a header that tells the hour to come back at."""
    said = said_of(body)
    if status in (400, 404, 413, 422) and said is not None:
        return _of_request(status, said, asked)
    if status == 401:
        return KeyRefused(f"{WHO} does not let this worker in.")
    if status in (402, 403) or (status == 429 and said is not None and {str(said.code), str(said.type)} & UNPAID):
        return BackendFailed(f"{WHO} does not let this worker do that.")
    if status in (408, 429):
        return Overloaded(f"{WHO} is busy.", retry_after_s=retry_after_s(headers, now))
    if status in (503, 529):
        return Unavailable(f"{WHO} cannot answer now.", retry_after_s=retry_after_s(headers, now))
    if status == 501:
        return Unsupported(f"{WHO} cannot do that with this model.", param="model")
    return BackendFailed(f"{WHO} answered {status}.")


def in_stream(said: Said, asked: Asked) -> HyperinferError:
    """What an error means that a server reports under status 200 before it has said anything else."""
    status = _number(said.code)
    if status in (400, 404, 413, 422) or _is_context(said):
        return _of_request(status or 400, said, asked)
    if status in (429, 503):
        return Overloaded(f"{WHO} is busy.", retry_after_s=RETRY_AFTER_S)
    return BackendFailed(f"{WHO} failed.")


def said_of(body: bytes) -> Said | None:
    """What a refusal says; `None` if it is none that a server of this kind makes."""
    try:
        nested = _nested.decode(body)
        if isinstance(nested.error, Said):
            return nested.error
        if isinstance(nested.error, str):
            return Said(message=nested.error)
        if nested.detail is not None:  # as FastAPI says it
            return Said(message=nested.detail if isinstance(nested.detail, str) else "")
        flat = _flat.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return flat if flat.message else None


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float:
    """When to come back: from the headers, bounded."""
    wait_s = RETRY_AFTER_S
    after = headers.get("retry-after", "")
    try:
        if "retry-after-ms" in headers:
            wait_s = float(headers["retry-after-ms"]) / 1000
        elif after[:1].isalpha():
            wait_s = (parsedate_to_datetime(after) - now).total_seconds()
        elif after:
            wait_s = float(after)
    except (ValueError, TypeError):
        return RETRY_AFTER_S
    return RETRY_AFTER_S if math.isnan(wait_s) else round(min(LONGEST_RETRY_S, max(0.0, wait_s)), 3)


def _of_request(status: int, said: Said, asked: Asked) -> HyperinferError:
    text = _text(said.message)
    if _is_context(said):
        return _too_long(said, asked)
    if status == 404:
        if "model" in text.lower() or said.code == "model_not_found":
            return ModelNotFound(f"{WHO} has no model {asked.model!r} any more.", model=asked.model)
        return BackendFailed(f"{WHO} answered 404.")
    return BadRequest(
        f"The model cannot take this request: {text or status}", param=_text(said.param)[:MAX_PARAM_CHARS]
    )


def _is_context(said: Said) -> bool:
    return (
        bool({str(said.code), str(said.type)} & CONTEXT_CODES) or CONTEXT_TEXT.search(_text(said.message)) is not None
    )


def _too_long(said: Said, asked: Asked) -> ContextExceeded:
    text = _text(said.message)
    context_tokens = _number(said.n_ctx) or _first(CONTEXT_TOKENS, text)
    prompt_tokens = _number(said.n_prompt_tokens) or _first(PROMPT_TOKENS, text)
    if not (context_tokens and prompt_tokens):
        return ContextExceeded("This is more than the model's context holds.", param=asked.param)
    return ContextExceeded(
        f"This has {prompt_tokens} tokens; the model takes {context_tokens}, the answer included.",
        param=asked.param,
        prompt_tokens=prompt_tokens,
        context_tokens=context_tokens,
    )


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> int:
    return next((_number(found[1]) for pattern in patterns if (found := pattern.search(text))), 0)


def _number(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    """Somebody else's text as one short line that can be printed."""
    if not isinstance(value, str):
        return ""
    words = "".join(one if one.isprintable() else " " for one in value[: 2 * MAX_SHOWN_CHARS]).split()
    return " ".join(words)[:MAX_SHOWN_CHARS]
