"""From a request of Ollama's to what the gateway is asked, and to the form of its answer. Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from hyperinfer.contracts.gateway import Infer
from hyperinfer.contracts.inference import Kind
from hyperinfer.contracts.openai.content import Anything
from hyperinfer.edge.dialects import AnswerForm, Named, Reader, Wanted
from hyperinfer.edge.dialects.ollama.answers import Lines, Loaded, chat_line, text_line
from hyperinfer.edge.dialects.ollama.conversation import conversation, given, said_by_user, tools_of
from hyperinfer.edge.dialects.ollama.errors import reworded
from hyperinfer.edge.dialects.ollama.options import NO_OPTIONS, sampled
from hyperinfer.edge.dialects.ollama.requests import (
    OllamaAnswering,
    OllamaAsking,
    OllamaChat,
    OllamaEmbed,
    OllamaEmbedOne,
    OllamaGenerate,
    Think,
)
from hyperinfer.edge.dialects.ollama.vectors import Embedded, EmbeddedOne
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.protocol.typed_json import decode

T = TypeVar("T", bound=OllamaAsking)

CHAT = "/api/chat"
GENERATE = "/api/generate"
EMBED = "/api/embed"
EMBEDDINGS = "/api/embeddings"
TEXT_TOKENS = 512
"""How long the continuation of a text may be where its request does not say: OpenAI would end after 16."""
ENDLESS_TOKENS = 2**31 - 1
ANY_TEXT = "."
"""What a model is given that only shall be loaded."""
NEVER: Mapping[str, str] = {
    "template": "Models here keep to their own templates; send `raw` with a prompt that is written out.",
    "context": "Nothing is kept here as tokens: send the conversation's messages to /api/chat.",
    "width": "No model here paints.",
    "height": "No model here paints.",
    "steps": "No model here paints.",
}
"""What no model here does, and why."""

_encode = msgspec.json.Encoder().encode
_chat = msgspec.json.Decoder(OllamaChat)
_generate = msgspec.json.Decoder(OllamaGenerate)
_embed = msgspec.json.Decoder(OllamaEmbed)
_embed_one = msgspec.json.Decoder(OllamaEmbedOne)


def read_chat(body: bytes, head: RequestHead, clock: Clock) -> Wanted | Named:
    """`POST /api/chat`."""
    asked = _named(decode(_chat, body))
    if not asked.messages:
        return _loaded(asked, head, Loaded(chat_line, asked.model, clock))
    fields = {**_chat_fields(asked), "messages": conversation(asked.messages), "tools": tools_of(asked.tools or ())}
    return _answered(asked, fields, head, "chat", Lines(chat_line, asked.model, clock))


def read_generate(body: bytes, head: RequestHead, clock: Clock) -> Wanted | Named:
    """`POST /api/generate`."""
    asked = _named(decode(_generate, body))
    for name, why in NEVER.items():
        if getattr(asked, name):
            raise Unsupported(f"{name}: {why}", param=name)
    if not asked.prompt and not asked.suffix and not asked.images:
        return _loaded(asked, head, Loaded(text_line, asked.model, clock))
    lines = Lines(text_line, asked.model, clock)
    if asked.raw or asked.suffix:
        return _answered(asked, _text_fields(asked), head, "completion", lines)
    system = [{"role": "system", "content": asked.system}] if asked.system else []
    user = said_by_user(asked.prompt or "", asked.images or ())
    return _answered(asked, {**_chat_fields(asked), "messages": [*system, user]}, head, "chat", lines)


def read_embed(body: bytes, head: RequestHead, clock: Clock) -> Wanted:
    """`POST /api/embed`."""
    asked = _named(decode(_embed, body))
    texts = [asked.input] if isinstance(asked.input, str) and asked.input else list(asked.input or ())
    form = Embedded(asked.model, clock, is_empty=not texts)
    return _vectors(asked, head, texts, form, dimensions=asked.dimensions or None)


def read_embeddings(body: bytes, head: RequestHead, clock: Clock) -> Wanted:
    """`POST /api/embeddings`."""
    asked = _named(decode(_embed_one, body))
    return _vectors(asked, head, [asked.prompt] if asked.prompt else [], EmbeddedOne(is_empty=not asked.prompt))


def _named(asked: T) -> T:
    if not asked.model:
        raise BadRequest("model is required", param="model")
    return asked


def _answered(
    asked: OllamaAnswering, fields: Mapping[str, Any], head: RequestHead, kind: Kind, form: AnswerForm
) -> Wanted:
    """A request for text; Ollama streams unless it is told not to."""
    streamed = asked.stream is not False
    stream = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    return _wanted(asked, {**fields, **stream}, head, kind, form, streamed=streamed)


def _loaded(asked: OllamaAsking, head: RequestHead, form: Loaded) -> Wanted | Named:
    """A request that only loads a model, or gives it up: it is for its worker to say how long it is kept."""
    if asked.gives_up:
        return Named(asked.model, form.given_up(), partial(reworded, model=asked.model, kind="chat", is_chat=True))
    fields = {"messages": [{"role": "user", "content": ANY_TEXT}], "max_tokens": 1}
    return _wanted(asked, fields, head, "chat", form)


def _vectors(
    asked: OllamaAsking, head: RequestHead, texts: Sequence[str], form: AnswerForm, *, dimensions: int | None = None
) -> Wanted:
    return _wanted(asked, {"input": texts or [ANY_TEXT], "dimensions": dimensions}, head, "embedding", form)


def _wanted(
    asked: OllamaAsking,
    fields: Mapping[str, Any],
    head: RequestHead,
    kind: Kind,
    form: AnswerForm,
    *,
    streamed: bool = False,
) -> Wanted:
    body = msgspec.Raw(_encode(given({"model": asked.model, **fields})))
    words = partial(reworded, model=asked.model, kind=kind, is_chat=isinstance(asked, OllamaChat))
    return Wanted(Infer(body=body, kind=kind, cache=head.wants_cache), streamed, form, words)


def _chat_fields(asked: OllamaAnswering) -> dict[str, Any]:
    return {
        **sampled(asked.options or NO_OPTIONS),
        "response_format": _format(asked.format),
        "reasoning_effort": _effort(asked.think),
        "logprobs": True if asked.logprobs or asked.top_logprobs else None,
        "top_logprobs": asked.top_logprobs or None,
    }


def _text_fields(asked: OllamaGenerate) -> dict[str, Any]:
    """A text to go on with, to which nothing is added."""
    of_chat = {"system": asked.system, "images": asked.images, "format": _format(asked.format), "think": asked.think}
    for name, value in of_chat.items():
        if value:
            raise Unsupported(f"{name}: It goes with a chat, not with raw or suffix.", param=name)
    options = asked.options or NO_OPTIONS
    longest = TEXT_TOKENS if options.num_predict is None else options.limit_tokens or ENDLESS_TOKENS
    return {
        **sampled(options),
        "prompt": asked.prompt or "",
        "suffix": asked.suffix or None,
        "max_tokens": longest,
        "logprobs": (asked.top_logprobs or 0) if asked.logprobs or asked.top_logprobs else None,
    }


def _format(wanted: Anything) -> dict[str, Any] | None:
    if not isinstance(wanted, msgspec.Raw) or bytes(wanted) in (b"null", b'""'):
        return None
    if bytes(wanted) == b'"json"':
        return {"type": "json_object"}
    if bytes(wanted).startswith(b"{"):
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}
    raise BadRequest("format must be json, or a JSON schema as an object.", param="format")


def _effort(think: Think | None) -> str | None:
    if isinstance(think, bool):
        return "medium" if think else "none"
    return think


_clock = SystemClock()
READERS: Mapping[str, Reader] = {
    CHAT: partial(read_chat, clock=_clock),
    GENERATE: partial(read_generate, clock=_clock),
    EMBED: partial(read_embed, clock=_clock),
    EMBEDDINGS: partial(read_embeddings, clock=_clock),
}
