"""The port to what runs models: a catalogue of what there is, and one request at a time that says its answer in chunks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from hyperinfer.contracts.openai import (
    ChatRequest,
    ChunkChoice,
    CompletionRequest,
    CompletionUsage,
    EmbeddingRequest,
)

State = Literal["ready", "idle", "loading", "away"]
"""`idle` is there and not loaded: a request loads it."""

# What a model can do. A request that needs another thing is refused by name before a backend sees it.
CHAT = "chat"
COMPLETION = "completion"
EMBEDDING = "embedding"
JSON = "json"
"""Answers JSON, and JSON under a schema, when asked to."""
TOOLS = "tools"
VISION = "vision"
REASONING = "reasoning"
"""Can be told how long to think (`reasoning_effort`)."""
LOGPROBS = "logprobs"
BIAS = "logit_bias"
SUFFIX = "suffix"
"""Completes what is before a text (`suffix`)."""
TOKENS = "tokens"
"""Takes prompts and inputs as token numbers."""
CHOICES = "choices"
"""Gives several answers to one request (`n`) by itself; of the others it is asked as often as answers are wanted."""
CONTINUES = "continues"
"""Can go on with an answer from the text so far."""
DIMENSIONS = "dimensions"
"""Can shorten embeddings."""


@dataclass(frozen=True, slots=True)
class BackendModel:
    """A model of a backend now; `reason` tells the operator in a sentence why it is not ready. `context_tokens` is one
    slot's, 0 where it is not known, as are `memory_bytes`. `revision` tells these weights from others of the same name, by
    a digest say; kept answers are given again after a restart, and by other workers, only where it is known."""

    name: str
    state: State
    slots: int
    context_tokens: int
    capabilities: tuple[str, ...] = (CHAT,)
    reason: str = ""
    memory_bytes: int = 0
    revision: str = ""


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()

Asked = TypeVar("Asked", ChatRequest, CompletionRequest, EmbeddingRequest)


@dataclass(frozen=True, slots=True)
class Job(Generic[Asked]):
    """One request at a backend. `model` is the backend's own name of it; `body` is the request as its sender wrote it,
    with all that we do not know; `so_far` is the answer's text where it has to be gone on with, which is asked only of
    models with `CONTINUES`.
    """

    model: str
    request: Asked
    body: bytes
    so_far: str = ""

    def changed(self, **fields: Any) -> "Job[Asked]":
        """The same with other fields, in the request and in its bytes."""
        if not fields:
            return self
        body = _encoder.encode({**_fields.decode(self.body), **fields})
        return replace(self, request=msgspec.structs.replace(self.request, **fields), body=body)

    def limited(self, tokens: int) -> "Job[Asked]":
        """The same for an answer of so many tokens at most."""
        newer = getattr(self.request, "max_completion_tokens", None) is not None
        return self.changed(**{"max_completion_tokens" if newer else "max_tokens": tokens})


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended, and what it took by the backend's own count.

    There is a reason for each choice, in the order of their indexes. Of a continued answer the count is that of what
    the backend did: the text so far is part of its prompt. `continued_tokens` is how many tokens that was, if it can tell. `stopped_by` is
    the text in `stop` that ended a single answer, where the backend tells.
    """

    finish_reasons: tuple[str, ...]
    usage: CompletionUsage
    continued_tokens: int | None = None
    stopped_by: str = ""

    @classmethod
    def of(cls, finish_reason: str, prompt_tokens: int, completion_tokens: int) -> "End":
        """One answer's end."""
        return cls((finish_reason,), CompletionUsage.of(prompt_tokens, completion_tokens))


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of the inputs, each as little-endian float32, and the tokens they took."""

    vectors: tuple[bytes, ...]
    prompt_tokens: int


Emit = Callable[[Sequence[ChunkChoice]], Awaitable[None]]
"""Takes the next pieces of an answer; returns when more may come. A completion's text is `content` too, logprobs are always
as chats have them (`{"content": [{token, logprob, bytes, top_logprobs}]}`), and a reason to end goes into `End` alone."""


class Backend(Protocol):
    """Runs models, or reaches them. It calls back when its catalogue has changed.

    Every request is made with at most the model's slots in flight; cancelling it stops the work at the backend within a
    second. All of them raise `ContextExceeded`, `BadRequest`, `BackendFailed` (also for an answer that has no end),
    `Unavailable`, and what a model's capabilities do not name is never asked of it.
    """

    @property
    def name(self) -> str:
        """What the backend is called in status and metrics."""

    @property
    def away(self) -> str:
        """Why it cannot be reached, in a sentence for the operator; empty while it can."""

    def models(self) -> Sequence[BackendModel]:
        """What it has now; costs next to nothing. Models of a backend that cannot be reached are not in it, or `away`."""

    async def chat(self, job: Job[ChatRequest], emit: Emit) -> End:
        """Answer a chat."""

    async def complete(self, job: Job[CompletionRequest], emit: Emit) -> End:
        """Go on with a text: `request.prompt` is a single one."""

    async def embed(self, job: Job[EmbeddingRequest]) -> Embedded:
        """Embed texts."""

    async def count(self, job: Job[ChatRequest]) -> int | None:
        """Tokens of a chat's prompt as the model's own tokenizer counts them, `None` where it cannot tell. Takes no slot."""

    async def load(self, model: str) -> None:
        """Make a model ready, if that is in its power. Raises `Unsupported` if not."""

    async def unload(self, model: str) -> None:
        """Give a model's memory back once its requests have ended; the next request loads it again."""
