"""Ollama's requests to models. Unknown fields are passed over, as Ollama does; a known one of a wrong type is refused."""

import re
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct

from hyperinfer.contracts.openai.content import Anything
from hyperinfer.edge.dialects.ollama.conversation import OllamaMessage, OllamaTool
from hyperinfer.edge.dialects.ollama.options import OllamaOptions

Name = Annotated[str, Meta(max_length=200)]
Think = bool | Literal["low", "medium", "high", "max"]

_ZERO = r"0+(?:\.0*)?"
_nothing = re.compile(rf"[+-]?(?:{_ZERO}|(?:{_ZERO}(?:[nuµm]?s|m|h))+)")
"""A number or a duration of Go's. In a row each has a unit: otherwise many zeros could be told apart in too many ways to try."""


class OllamaAsking(Struct, frozen=True, kw_only=True):
    """What every request has. How long a model stays loaded is its worker's business, so `keep_alive` is passed over, but
    for a 0 that comes without anything to answer: it gives a model up.
    """

    model: Name = ""
    options: OllamaOptions | None = None
    keep_alive: float | str | None = None

    @property
    def gives_up(self) -> bool:
        """Whether the model shall be kept no longer."""
        if isinstance(self.keep_alive, str):
            return _nothing.fullmatch(self.keep_alive) is not None
        return self.keep_alive == 0


class OllamaAnswering(OllamaAsking, frozen=True, kw_only=True):
    """What requests for text have. `format` is `json` or a schema. Nothing is ever cut (`truncate`) or forgotten
    (`shift`) to fit: what is too long is refused.
    """

    stream: bool | None = None
    format: Anything = UNSET
    think: Think | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    truncate: bool | None = None
    shift: bool | None = None


class OllamaChat(OllamaAnswering, frozen=True, kw_only=True):
    """The body of `POST /api/chat`; without messages it loads the model."""

    messages: tuple[OllamaMessage, ...] | None = None
    tools: Annotated[tuple[OllamaTool, ...], Meta(max_length=128)] | None = None


class OllamaGenerate(OllamaAnswering, frozen=True, kw_only=True):
    """The body of `POST /api/generate`; without a prompt it loads the model. A `raw` prompt, and one with a `suffix`, is gone
    on with as it is; every other one is the only message of a chat.
    """

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    images: tuple[str, ...] | None = None
    raw: bool | None = None
    template: str | None = None
    context: tuple[int, ...] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None


class OllamaEmbed(OllamaAsking, frozen=True, kw_only=True):
    """The body of `POST /api/embed`; without input it loads the model."""

    input: str | tuple[str, ...] | None = None
    dimensions: Annotated[int, Meta(ge=0, lt=2**31)] | None = None
    truncate: bool | None = None


class OllamaEmbedOne(OllamaAsking, frozen=True, kw_only=True):
    """The body of `POST /api/embeddings`, which `/api/embed` has replaced; without a prompt it loads the model."""

    prompt: str | None = None
