"""What Ollama is asked: OpenAI's requests in its own words. Pure.

Always streamed, so that one who goes away is noticed, and never cut to fit (`truncate`): a prompt that is too long is
refused instead.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hyperinfer.contracts.openai import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
)
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.workers.inference.backends import Job
from hyperinfer.workers.inference.backends.ollama.messages import OllamaMessage, conversation
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

SEEDS = 2**32 - 1
"""The engine behind Ollama takes this very number for "some seed", and larger ones not at all."""
EFFORTS: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}
"""How long to think, in Ollama's words."""

Options = dict[str, Any]


class OllamaTool(Struct, frozen=True):
    """A function that the model may call."""

    function: Mapping[str, Any]
    type: Literal["function"] = "function"


class Asking(Struct, frozen=True, kw_only=True):
    """What every request has. Without `shift` Ollama lets a model forget what is too long."""

    model: str
    keep_alive: int | str | UnsetType
    options: Options


class AskingChat(Asking, frozen=True, kw_only=True):
    """The body of `POST /api/chat`."""

    messages: Sequence[OllamaMessage]
    stream: bool = True
    truncate: bool = False
    shift: bool | UnsetType
    tools: tuple[OllamaTool, ...] | UnsetType
    format: Mapping[str, Any] | Literal["json"] | UnsetType
    think: bool | str | UnsetType
    logprobs: bool | UnsetType
    top_logprobs: int | UnsetType


class AskingText(Asking, frozen=True, kw_only=True):
    """The body of `POST /api/generate`: without `raw` Ollama would make a chat of the prompt."""

    prompt: str
    stream: bool = True
    truncate: bool = False
    raw: bool
    suffix: str | UnsetType
    shift: bool | UnsetType
    think: bool = False
    logprobs: bool | UnsetType
    top_logprobs: int | UnsetType


class AskingVectors(Asking, frozen=True, kw_only=True):
    """The body of `POST /api/embed`; without `input` it loads the model."""

    input: Sequence[str]
    truncate: bool = False
    dimensions: int | UnsetType = UNSET


class AskingToLoad(Asking, frozen=True, kw_only=True):
    """The body of `POST /api/generate` that loads a model, or takes it out of memory with a `keep_alive` of 0."""

    shift: bool | UnsetType
    stream: bool = False


_encode = msgspec.json.Encoder().encode


class Wire:
    """Writes requests as the settings want them. Those of one model have the same `num_ctx` and `shift` each time: for
    others Ollama would load it anew.
    """

    def __init__(self, settings: OllamaSettings) -> None:
        self._keep_alive = _keep_alive(settings.keep_alive)
        self._shift: bool | UnsetType = UNSET if settings.context_shift else False
        context = {} if settings.context_tokens is None else {"num_ctx": settings.context_tokens}
        self._options: Options = {**settings.options, **context}

    def chat(self, job: Job[ChatRequest]) -> bytes:
        """A chat. Raises `Unsupported` or `BadRequest` for what Ollama cannot be asked."""
        asked = job.request
        return _encode(
            AskingChat(
                model=job.model,
                messages=conversation(asked.messages, so_far=job.so_far),
                tools=_tools(asked),
                format=_format(asked),
                think=_think(asked.reasoning_effort),
                logprobs=True if asked.logprobs else UNSET,
                top_logprobs=asked.top_logprobs or UNSET,
                shift=self._shift,
                keep_alive=self._keep_alive,
                options=self._with(asked),
            )
        )

    def text(self, job: Job[CompletionRequest]) -> bytes:
        """A text to go on with. Raises `BadRequest` for an empty one: it would do nothing but load the model."""
        asked = job.request
        prompt = cast(str, asked.prompt) + job.so_far
        if not prompt:
            raise BadRequest("prompt: This model goes on with a text; the one given is empty.", param="prompt")
        return _encode(
            AskingText(
                model=job.model,
                prompt=prompt,
                raw=asked.suffix is None,
                suffix=UNSET if asked.suffix is None else asked.suffix,
                logprobs=UNSET if asked.logprobs is None else True,
                top_logprobs=asked.logprobs or UNSET,
                shift=self._shift,
                keep_alive=self._keep_alive,
                options=self._with(asked),
            )
        )

    def vectors(self, model: str, texts: Sequence[str], asked: EmbeddingRequest) -> bytes:
        """Texts to embed."""
        return _encode(
            AskingVectors(
                model=model,
                input=texts,
                dimensions=asked.dimensions or UNSET,
                keep_alive=self._keep_alive,
                options=self._options,
            )
        )

    def load(self, model: str) -> bytes:
        """Load a model that generates."""
        return _encode(AskingToLoad(model=model, shift=self._shift, keep_alive=self._keep_alive, options=self._options))

    def load_embedder(self, model: str) -> bytes:
        """Load a model that embeds."""
        return _encode(AskingVectors(model=model, input=(), keep_alive=self._keep_alive, options=self._options))

    def unload(self, model: str) -> bytes:
        """Take a model of any kind out of memory."""
        return _encode(AskingToLoad(model=model, shift=self._shift, keep_alive=0, options=self._options))

    def _with(self, asked: ChatRequest | CompletionRequest) -> Options:
        """The operator's options, and over them what the request says."""
        given: Options = {
            "num_predict": asked.limit_tokens,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "top_k": asked.top_k,
            "min_p": asked.min_p,
            "repeat_penalty": asked.repeat_penalty,
            "frequency_penalty": asked.frequency_penalty,
            "presence_penalty": asked.presence_penalty,
            "stop": asked.stops or None,
            "seed": None if asked.seed is None else asked.seed % SEEDS,
        }
        return self._options | {name: value for name, value in given.items() if value is not None}


def _keep_alive(written: str) -> int | str | UnsetType:
    """Ollama takes a bare number only as a number: seconds, or for ever below 0."""
    if not written:
        return UNSET
    return int(written) if written.lstrip("-").isdigit() else written


def _tools(asked: ChatRequest) -> tuple[OllamaTool, ...] | UnsetType:
    if not asked.tools or asked.tool_choice == "none":
        return UNSET
    if asked.tool_choice not in (None, "auto"):
        raise Unsupported(
            "tool_choice: This model cannot be made to call a tool; leave it the choice (auto), or give none.",
            param="tool_choice",
        )
    return tuple(_tool(tool) for tool in asked.tools if isinstance(tool, FunctionTool))


def _tool(tool: FunctionTool) -> OllamaTool:
    """Ollama wants the parameters' object even where there are none."""
    function = tool.function
    parameters = {"type": "object", "properties": {}, **(function.parameters or {})}
    return OllamaTool({"name": function.name, "description": function.description or "", "parameters": parameters})


def _format(asked: ChatRequest) -> Mapping[str, Any] | Literal["json"] | UnsetType:
    wanted = asked.response_format
    if isinstance(wanted, JsonSchemaFormat):
        return wanted.json_schema.schema or {}
    return "json" if isinstance(wanted, JsonObjectFormat) else UNSET


def _think(effort: str | None) -> bool | str | UnsetType:
    if effort is None:
        return UNSET
    if effort not in EFFORTS:
        raise BadRequest(f"reasoning_effort is one of {', '.join(EFFORTS)}.", param="reasoning_effort")
    return EFFORTS[effort]
