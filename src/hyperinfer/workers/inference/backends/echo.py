"""The echo backend: an answer without a model, as fast or as slow as it is told, for tests and benchmarks."""

import asyncio
import re
from collections.abc import Iterator, Sequence

from hyperinfer.contracts.openai import ChatRequest, CompletionUsage, Delta
from hyperinfer.errors import BackendFailed, ContextExceeded
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.backends import BackendModel, Emit, End
from hyperinfer.workers.inference.config import EchoSettings
from hyperinfer.workers.inference.requests import text_of

BATCH = 32
"""Deltas given on at once when no time is to pass between them."""
GARBAGE = ('"', "\\", "\x00\x1f\x7f", "\n\ndata: [DONE]\n\n", '{"error":{}}', "\u2028\u202e", "🙃", "</script>", "\r\n")

_tokens = re.compile(r"\s*\S+|\s+")


class Echo:
    """Says the last user message again, word by word."""

    name = "echo"

    def __init__(self, settings: EchoSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._model = BackendModel(
            name=settings.model, state="ready", slots=settings.slots, context_tokens=settings.context_tokens
        )
        self._numbered = _deltas(_numbered(settings.tokens), settings.tokens_per_chunk)
        self._garbage = _deltas(GARBAGE, 1)

    def models(self) -> Sequence[BackendModel]:
        """The one model."""
        return (self._model,)

    async def chat(self, model: str, request: ChatRequest, emit: Emit) -> End:
        """Answer. Raises `ContextExceeded`, and `BackendFailed` where a fault is set."""
        settings = self._settings
        prompt_tokens = sum(len(text_of(message).split()) for message in request.messages)
        if prompt_tokens > settings.context_tokens:
            raise ContextExceeded(
                f"The messages have {prompt_tokens} tokens; this model takes {settings.context_tokens}.",
                param="messages",
                prompt_tokens=prompt_tokens,
                context_tokens=settings.context_tokens,
            )
        if settings.first_token_s:
            await self._clock.sleep(settings.first_token_s)
        if settings.fault == "before_first_token":
            raise BackendFailed("The echo backend fails before its first token, as it was told to.")
        deltas, tokens, finish_reason = self._plan(request)
        await self._say(deltas, emit)
        if settings.fault == "in_mid_stream":
            raise BackendFailed("The echo backend broke off in mid-stream, as it was told to.")
        usage = CompletionUsage(
            prompt_tokens=prompt_tokens, completion_tokens=tokens, total_tokens=prompt_tokens + tokens
        )
        return End(finish_reason=finish_reason, usage=usage)

    def _plan(self, request: ChatRequest) -> tuple[Sequence[Delta], int, str]:
        """What to say, how many tokens that is, and why it ends there."""
        settings, limit = self._settings, request.limit_tokens
        if settings.fault == "garbage":
            return self._garbage, len(GARBAGE), "stop"
        is_plain = settings.fault == "none" and not request.stops
        if is_plain and settings.tokens and (limit is None or limit >= settings.tokens):
            return self._numbered, settings.tokens, "stop"
        words = list(_numbered(settings.tokens)) if settings.tokens else _tokens.findall(_last_said(request))
        words = _tokens.findall(_until("".join(words), request.stops)) if request.stops else words
        finish_reason = "stop"
        if limit is not None and len(words) > limit:
            words, finish_reason = words[:limit], "length"
        if settings.fault == "in_mid_stream":
            words = words[: settings.fault_after_tokens]
        return _deltas(words, settings.tokens_per_chunk), len(words), finish_reason

    async def _say(self, deltas: Sequence[Delta], emit: Emit) -> None:
        if self._settings.token_s:
            for delta in deltas:
                await emit([delta])
                await self._clock.sleep(self._settings.token_s * self._settings.tokens_per_chunk)
            return
        for start in range(0, len(deltas), BATCH):
            await emit(deltas[start : start + BATCH])
            if start:
                await asyncio.sleep(0)  # a long answer leaves room for others


def _last_said(request: ChatRequest) -> str:
    users = [message for message in request.messages if message.role == "user"]
    return text_of(users[-1]) if users else ""


def _until(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of these."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def _numbered(tokens: int) -> Iterator[str]:
    return (f"{' ' if number else ''}word{number}" for number in range(tokens))


def _deltas(words: Sequence[str] | Iterator[str], size: int) -> tuple[Delta, ...]:
    words = list(words)
    return tuple(Delta(content="".join(words[start : start + size])) for start in range(0, len(words), size))
