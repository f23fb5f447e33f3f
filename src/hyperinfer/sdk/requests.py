"""What the client library sends to models, from a prompt or messages; and a gateway's address, from what people type."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

from hyperinfer.errors import BadRequest
from hyperinfer.facilities import tracing
from hyperinfer.protocol import links
from hyperinfer.sdk.messages import Message, Tool, is_empty

CACHE = "x-hyperinfer-cache"
TRACE = "traceparent"


class ModelOptions(TypedDict, total=False):
    """What may be said of any request to a model.

    `model` left out takes the gateway's default. `cache` says whether the answer may come from, and go to, a response
    cache; left out, the workers' settings decide. `traceparent` is the span of the application's own that the request belongs under,
    as W3C Trace Context writes it. `extra` are further fields, as OpenAI's API names them.
    """

    model: str | None
    cache: bool | None
    traceparent: str | None
    extra: Mapping[str, Any]


class SampleOptions(ModelOptions, total=False):
    """Further what may be said of a text to be made; `max_tokens` bounds it, `stop` are texts that end it."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    stop: str | Sequence[str] | None


class ChatOptions(SampleOptions, total=False):
    """Further what may be said of a chat.

    `system` becomes the first message; `tools` are what the model may call, and `tool_choice` whether it may, must, or
    must not; `response_format` asks for JSON, and by which schema; `reasoning_effort` for how much thinking.
    """

    system: str | None
    tools: Sequence[Tool] | None
    tool_choice: Literal["auto", "none", "required"] | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    response_format: Mapping[str, Any] | None
    reasoning_effort: str | None


class EmbedOptions(ModelOptions, total=False):
    """Further what may be said of embeddings: how many `dimensions` they are to have, where a model leaves the choice."""

    dimensions: int | None


Prompt = str | Sequence[Message]

OURS = frozenset({"system", "extra", "cache", "traceparent"})
"""Options that are no fields of OpenAI's."""


def chat_body(prompt: Prompt, options: ChatOptions, *, stream: bool) -> dict[str, Any]:
    """The body of a chat completion. Raises `BadRequest` for a prompt without a word."""
    messages = [Message(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)
    if is_empty(messages):
        raise BadRequest("The prompt is empty.", param="messages")
    system = options.get("system")
    if system:
        messages.insert(0, Message(role="system", content=system))
    body = {"messages": messages} | fields(options)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def fields(options: ModelOptions) -> dict[str, Any]:
    """The fields of a request that options stand for; what is null is left out."""
    given = {name: value for name, value in options.items() if name not in OURS and value is not None}
    return {**options.get("extra", {}), **given}


def headers(options: ModelOptions) -> dict[str, str]:
    """The headers that options stand for."""
    named: dict[str, str] = {}
    if (cache := options.get("cache")) is not None:
        named[CACHE] = "on" if cache else "off"
    if traceparent := options.get("traceparent"):
        named[TRACE] = _header(traceparent)
    return named


def _header(traceparent: str) -> str:
    """A header's value. Raises `BadRequest` for what cannot be one."""
    if tracing.parse(traceparent) is None:
        raise BadRequest("A traceparent looks like 00-<32 hex digits>-<16 hex digits>-01.", param=TRACE)
    return traceparent


def base_url(text: str) -> str:
    """A gateway's address, written in one way: `https://host:port` without a path of ours, or its `hyper://` link.

    The form that OpenAI clients take, with `/v1` at its end, means the same. Raises `BadRequest`.
    """
    if is_link(text):
        return str(links.parse(text))
    problem = BadRequest("A gateway's address looks like http://127.0.0.1:3000.", param="gateway")
    try:
        parts = urlsplit(text.strip() if "://" in text else f"http://{text.strip()}")
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise problem from error
    if not known or parts.username is not None or parts.query or parts.fragment:
        raise problem
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}"


def is_link(address: str) -> bool:
    """Whether an address is one of the swarm, `hyper://…`, and not one of HTTP."""
    return address.strip().lower().startswith(links.SCHEME)
