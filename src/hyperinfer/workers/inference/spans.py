"""What a trace tells of a model at work, by OpenTelemetry's conventions for generative AI: never what was asked or answered.

They are kept at https://github.com/open-telemetry/semantic-conventions-genai. Tokens are told here and in no other span, so that whoever
adds them up counts each once.
"""

import time
from collections.abc import Callable, Sequence

from hyperinfer.contracts.openai import ChatRequest, ChunkChoice, CompletionRequest, EmbeddingRequest
from hyperinfer.facilities import tracing
from hyperinfer.facilities.tracing import Kind, Span
from hyperinfer.workers.inference.backends import Embedded, Emit, End

FLOAT_BYTES = 4
SAMPLING = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty")
"""Fields of requests whose names are the conventions' own. Texts that end an answer (`stop`) are somebody's words."""

Asked = ChatRequest | CompletionRequest | EmbeddingRequest


def at_backend(operation: str, model: str) -> tracing.span:
    """The time that a backend has a request."""
    return tracing.span(f"{operation} {model}", Kind.CLIENT)


def operation_of(asked: Asked) -> str:
    """What is done, as the conventions call it."""
    match asked:
        case ChatRequest():
            return "chat"
        case CompletionRequest():
            return "text_completion"
        case _:
            return "embeddings"


def tell_asked(span: Span, asked: Asked, *, model: str, backend: str) -> None:
    """What a backend is asked for."""
    attributes = span.attributes
    attributes["gen_ai.operation.name"] = operation_of(asked)
    attributes["gen_ai.provider.name"] = backend.partition(":")[0]
    attributes["gen_ai.request.model"] = model
    if isinstance(asked, EmbeddingRequest):
        return
    if asked.stream:
        attributes["gen_ai.request.stream"] = True
    if asked.limit_tokens is not None:
        attributes["gen_ai.request.max_tokens"] = asked.limit_tokens
    if asked.n is not None and asked.n > 1:
        attributes["gen_ai.request.choice.count"] = asked.n
    for name in SAMPLING:
        if (value := getattr(asked, name)) is not None:
            attributes[f"gen_ai.request.{name}"] = value


def tell_end(span: Span, end: End, *, model: str) -> None:
    """How an answer ended, and what it took by the backend's count."""
    span.attributes["gen_ai.response.model"] = model
    span.attributes["gen_ai.response.finish_reasons"] = end.finish_reasons
    span.attributes["gen_ai.usage.input_tokens"] = end.usage.prompt_tokens
    span.attributes["gen_ai.usage.output_tokens"] = end.usage.completion_tokens


def tell_embedded(span: Span, embedded: Embedded, *, model: str) -> None:
    """What came of texts to embed."""
    span.attributes["gen_ai.response.model"] = model
    span.attributes["gen_ai.usage.input_tokens"] = embedded.prompt_tokens
    if embedded.vectors:
        span.attributes["gen_ai.embeddings.dimension.count"] = len(embedded.vectors[0]) // FLOAT_BYTES


def timing_first(span: Span, emit: Emit, *, now_s: Callable[[], float] = time.perf_counter) -> Emit:
    """The same, taking note of when the first piece comes."""
    began = now_s()

    async def take(pieces: Sequence[ChunkChoice]) -> None:
        span.attributes.setdefault("gen_ai.response.time_to_first_chunk", round(now_s() - began, 6))
        await emit(pieces)

    return take
