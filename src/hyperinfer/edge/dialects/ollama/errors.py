"""Refusals as Ollama says them: a single text, in which its clients look for words of Ollama's own. Pure."""

import re
from collections.abc import Mapping

import msgspec

from hyperinfer.errors import ContextExceeded, HyperinferError, ModelNotFound, Unsupported


class OllamaError(msgspec.Struct, frozen=True):
    """A refusal, and the last line of a stream that broke off."""

    error: str


FIELDS: Mapping[str, str] = {
    "max_tokens": "options.num_predict",
    "temperature": "options.temperature",
    "top_p": "options.top_p",
    "top_k": "options.top_k",
    "min_p": "options.min_p",
    "seed": "options.seed",
    "stop": "options.stop",
    "frequency_penalty": "options.frequency_penalty",
    "presence_penalty": "options.presence_penalty",
    "repeat_penalty": "options.repeat_penalty",
    "response_format.json_schema.schema": "format",
    "response_format": "format",
    "reasoning_effort": "think",
}
"""What the fields are called here that are OpenAI's there."""
LACKS: Mapping[str, str] = {
    "tools": "tools",
    "reasoning_effort": "thinking",
    "logprobs": "logprobs",
    "suffix": "insert",
}
"""What a model cannot do that refuses a field, as Ollama calls it."""
KINDS: Mapping[str, str] = {"chat": "chat", "completion": "generate", "embedding": "embeddings"}
"""What a model cannot do that is not for requests of a kind."""

_image = re.compile(r"^messages\[(\d+)\]\.content\[(\d+)\](?:\.image_url\.url)?")
_encode = msgspec.json.Encoder().encode


def body_of(error: HyperinferError) -> bytes:
    """The error in Ollama's shape, as JSON."""
    return _encode(OllamaError(error.message))


def reworded(error: HyperinferError, *, model: str, kind: str, is_chat: bool) -> HyperinferError:
    """What the gateway refuses, by the names that it has here. `is_chat` says that the request has messages, not a prompt."""
    details = error.details
    if isinstance(error, ModelNotFound):
        return ModelNotFound(f"model '{model[:200]}' not found: {error.message}", **details)
    if isinstance(error, ContextExceeded):
        return ContextExceeded(f"{_too_long(details)}{error.message}", **details)
    param = details.get("param")
    if not isinstance(param, str) or not param:
        return error
    if isinstance(error, Unsupported):
        lacks = KINDS[kind] if param == "model" else LACKS.get(param)
        if lacks is not None:
            return Unsupported(f'"{model[:200]}" does not support {lacks}: {_after(param, error.message)}', **details)
    name = _name(param, is_chat=is_chat)
    if name == param:
        return error
    text = error.message
    if text.startswith(param):
        text = name + text.removeprefix(param)
    return type(error)(text, **{**details, "param": name})


def _name(param: str, *, is_chat: bool) -> str:
    image = _image.match(param)
    if image is not None:  # a message's text is the first of its parts
        number = int(image[2]) - 1
        return f"messages[{image[1]}].images[{number}]" if is_chat else f"images[{number}]"
    for theirs, ours in FIELDS.items():
        if param == theirs or param.startswith((f"{theirs}[", f"{theirs}.")):
            return ours + param.removeprefix(theirs)
    return param


def _after(param: str, message: str) -> str:
    return message.removeprefix(f"{param}: ")


def _too_long(details: Mapping[str, object]) -> str:
    """Ollama's own sentence, where it is known how much too long it is."""
    prompt, context = details.get("prompt_tokens"), details.get("context_tokens")
    if isinstance(prompt, int) and isinstance(context, int):
        return f"request ({prompt} tokens) exceeds the available context size ({context} tokens). "
    return "the input exceeds the context length. "
