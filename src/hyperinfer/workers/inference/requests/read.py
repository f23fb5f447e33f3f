"""A call's request, read and held against what a model can do."""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from hyperinfer.contracts.inference import Kind, ProcessRequest
from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, EmbeddingRequest, Message
from hyperinfer.errors import BadRequest
from hyperinfer.protocol.typed_json import decode
from hyperinfer.workers.inference.backends import CHAT, COMPLETION, CONTINUES, EMBEDDING, REASONING
from hyperinfer.workers.inference.requests import chat, texts
from hyperinfer.workers.inference.requests.refusals import need, unsupported

Body = ChatRequest | CompletionRequest | EmbeddingRequest
T = TypeVar("T")

_chat = msgspec.json.Decoder(ChatRequest)
_completion = msgspec.json.Decoder(CompletionRequest)
_embedding = msgspec.json.Decoder(EmbeddingRequest)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()

WRONG_KIND = {
    "chat": "This model does not chat.",
    "completion": "This model does not go on with texts; use chat completions.",
    "embedding": "This model makes no embeddings.",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has been understood, and its bytes as its sender wrote them."""

    kind: Kind
    asked: Body
    body: bytes

    def told(self, effort: str, capabilities: tuple[str, ...]) -> "Request":
        """The same saying how much to think, to a model that can be told and is told nothing else."""
        asked = self.asked
        if not effort or REASONING not in capabilities or not isinstance(asked, ChatRequest) or asked.reasoning_effort:
            return self
        fields = {**_fields.decode(self.body), "reasoning_effort": effort}
        return Request(self.kind, msgspec.structs.replace(asked, reasoning_effort=effort), _encoder.encode(fields))

    def check(self, capabilities: tuple[str, ...], *, continues: bool) -> None:
        """Raise `Unsupported` or `BadRequest` for the first thing that a model with these capabilities cannot do."""
        if isinstance(self.asked, ChatRequest):
            need(CHAT, capabilities, "model", WRONG_KIND["chat"])
            chat.check(self.asked, capabilities)
        elif isinstance(self.asked, CompletionRequest):
            need(COMPLETION, capabilities, "model", WRONG_KIND["completion"])
            texts.check_completion(self.asked, capabilities)
        else:
            need(EMBEDDING, capabilities, "model", WRONG_KIND["embedding"])
            texts.check_embedding(self.asked, capabilities)
        if continues:
            need(CONTINUES, capabilities, "continues", "This model cannot go on with an answer.")
            if not is_resumable(self.asked):
                raise unsupported("continues", "An answer of this form cannot be gone on with.")


def read(request: ProcessRequest, kind: Kind) -> Request:
    """The request in a call, written out or as a single prompt. Raises `BadRequest`."""
    if request.prompt is not None:
        asked = ChatRequest(messages=(Message(role="user", content=request.prompt),))
        body = _encoder.encode({"messages": [{"role": "user", "content": request.prompt}]})
        return Request("chat", asked, body)
    if not request.body:
        raise BadRequest("A request needs a body, or a prompt.", param="body")
    body = bytes(request.body)
    if not _is_utf8(body):
        raise BadRequest("The body is not UTF-8.")
    decoder: msgspec.json.Decoder[Body] = {"chat": _chat, "completion": _completion, "embedding": _embedding}[kind]  # type: ignore[assignment]  # decoders say nothing of how their types relate
    return Request(kind, decode(decoder, body), body)


def _is_utf8(body: bytes) -> bool:
    """Of fields that nobody knows here the decoder does not look at it, and backends are given them all."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_resumable(asked: Body) -> bool:
    """Whether an answer can be gone on with from its text: not where its form reaches over the whole of it."""
    if isinstance(asked, EmbeddingRequest) or (asked.n or 1) > 1:
        return False
    if isinstance(asked, CompletionRequest):
        return isinstance(asked.prompt, str) and asked.logprobs is None and asked.suffix is None
    return not (asked.tools or asked.logprobs or asked.response_format or asked.top_logprobs)
