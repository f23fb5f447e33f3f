"""The engine's own HTTP interface: the request it is sent, what it says of itself, and its errors as ours."""

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from hyperinfer.contracts.openai import ChatRequest, ResponseFormat, TextFormat
from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded, HyperinferError, Unavailable
from hyperinfer.workers.inference.requests import text_of

SEEDS = 2**32 - 1
"""The engine takes this very number for "some seed", and larger ones not at all."""


class EngineMessage(msgspec.Struct, frozen=True):
    """A message as templates know it."""

    role: str
    content: str


class WithUsage(msgspec.Struct, frozen=True):
    """Asks for the usage at the end of a stream."""

    include_usage: bool = True


class EngineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A chat request to the engine. Only what is listed here reaches it, whatever a user sends.

    Always streamed and with progress: otherwise a caller who goes away is not noticed until the answer, or a long
    prompt, is done.
    """

    messages: tuple[EngineMessage, ...]
    stream: bool = True
    return_progress: bool = True
    stream_options: WithUsage = WithUsage()
    max_tokens: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    stop: tuple[str, ...] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    logit_bias: dict[str, float] | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET


class EngineProps(msgspec.Struct, frozen=True):
    """What the engine says of itself once it has loaded; `context_tokens` is one slot's."""

    class Generation(msgspec.Struct, frozen=True):
        """Its defaults."""

        n_ctx: int

    default_generation_settings: Generation
    total_slots: int

    @property
    def context_tokens(self) -> int:
        """Tokens that one slot holds."""
        return self.default_generation_settings.n_ctx


class EngineErrorBody(msgspec.Struct, frozen=True):
    """What the engine says is wrong."""

    message: str = ""
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class EngineError(msgspec.Struct, frozen=True):
    """The body of an answer that is no success."""

    error: EngineErrorBody = EngineErrorBody()


V = TypeVar("V")

_encoder = msgspec.json.Encoder()
_error = msgspec.json.Decoder(EngineError)


def encode(chat: ChatRequest) -> bytes:
    """The body for the engine."""
    wanted = chat.response_format
    return _encoder.encode(
        EngineRequest(
            messages=tuple(
                EngineMessage("system" if message.role == "developer" else message.role, text_of(message))
                for message in chat.messages
            ),
            max_tokens=_unset(chat.limit_tokens),
            temperature=_unset(chat.temperature),
            top_p=_unset(chat.top_p),
            frequency_penalty=_unset(chat.frequency_penalty),
            presence_penalty=_unset(chat.presence_penalty),
            stop=chat.stops or UNSET,
            seed=UNSET if chat.seed is None else chat.seed % SEEDS,
            logit_bias=_unset(chat.logit_bias),
            response_format=UNSET if wanted is None or isinstance(wanted, TextFormat) else wanted,
        )
    )


def refusal(status: int, body: bytes) -> HyperinferError:
    """The engine's refusal as an error of ours."""
    try:
        said = _error.decode(body).error
    except msgspec.DecodeError:
        return BackendFailed(f"The engine answered {status} with something that is no JSON.")
    if said.type == "exceed_context_size_error":
        return ContextExceeded(
            f"The messages have {said.n_prompt_tokens} tokens; this model takes {said.n_ctx}, the answer included.",
            param="messages",
            prompt_tokens=said.n_prompt_tokens,
            context_tokens=said.n_ctx,
        )
    if status == 400:
        about_format = "schema" in said.message or "grammar" in said.message
        return BadRequest(
            f"The model cannot take this request: {said.message[:500]}",
            param="response_format" if about_format else "",
        )
    if status == 503:
        return Unavailable("The model is being loaded.", retry_after_s=1)
    return BackendFailed(f"The engine answered {status}.")


def _unset(value: V | None) -> V | UnsetType:
    return UNSET if value is None else value
