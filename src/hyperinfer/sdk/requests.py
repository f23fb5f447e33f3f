"""What the client library sends: a chat request from a prompt or messages, and a base URL from what people type."""

from collections.abc import Sequence
from typing import Any, TypedDict
from urllib.parse import urlsplit

from hyperinfer.errors import BadRequest
from hyperinfer.protocol import links


class Message(TypedDict):
    """One message of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


class ChatOptions(TypedDict, total=False):
    """Everything that may be said of a request beside the prompt, as OpenAI's API names it.

    `model` left out takes the gateway's default, `system` becomes the first message, `extra` are further fields.
    """

    model: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    seed: int | None
    extra: dict[str, Any]


Prompt = str | Sequence[Message]


def chat_body(prompt: Prompt, options: ChatOptions, *, stream: bool) -> dict[str, Any]:
    """The body of a chat completion. Raises `BadRequest` for a prompt without a word."""
    messages = [Message(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)
    if not messages or not any(message["content"].strip() for message in messages):
        raise BadRequest("The prompt is empty.", param="messages")
    system = options.get("system")
    if system:
        messages.insert(0, Message(role="system", content=system))
    body: dict[str, Any] = {"messages": messages, **options.get("extra", {})}
    given = {name: value for name, value in options.items() if name not in ("system", "extra") and value is not None}
    body |= given
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


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
