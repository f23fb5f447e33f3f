"""What gateways ask of inference workers: run a request, and say what you have and how busy you are."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hyperinfer.contracts.method import ANY_MEMBER, Method, Nothing, Wire, members

GATEWAYS = members("gateway")

Kind = Literal["chat", "completion", "embedding"]
Effort = Literal["", "low", "medium", "high"]
"""How much a model may think first; nothing leaves it to the model."""
Priority = Literal["interactive", "batch"]
Cache = Literal["", "hit", "miss"]
"""What the response cache had to do with an answer; nothing, where it was not asked."""


Count = Annotated[int, Meta(ge=0, le=2**53)]
Figure = Annotated[float, Meta(ge=0, le=1e12)]
Tokens = Annotated[int, Meta(ge=0, le=2**31)]
"""As much as can be reckoned with: workers are not believed to say nothing else."""


class Usage(Wire, frozen=True, omit_defaults=False):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


class Continued(Wire, frozen=True):
    """The answer so far, said by a worker that was lost: its text, and how many tokens of an answer that was, about."""

    text: str
    tokens: int


class ProcessRequest(Wire, frozen=True):
    """One request to a model.

    `body` is the OpenAI request as its sender wrote it. The worker stamps `completion_id`, `created` (seconds since the
    epoch) and `public_model` on every chunk, so that nobody behind it has to write JSON again. `model` is the worker's
    own name of the model; `fair_key` is an opaque name of the user, the same at every gateway of the swarm, for fair
    queueing and for keeping users' cached answers apart. `cache` says whether the answer may come from, and go to, the
    response cache; left out, the worker's settings decide. `continues` asks for the rest of an answer: only chunks that
    come after it are sent, and the usage is that of the whole. `effort` is for models that can be told how much to think;
    others answer without.

    With a streamed call the first chunk is a `Began`, and every other one a raw OpenAI chunk object; otherwise the reply's
    `completion` is the whole OpenAI object. A plain peer may send `prompt` alone; the default model then answers it as
    a single user message.
    """

    model: str = ""
    kind: Kind = "chat"
    body: msgspec.Raw = msgspec.Raw(b"")
    completion_id: str = ""
    created: int = 0
    public_model: str = ""
    fair_key: str = ""
    priority: Priority = "interactive"
    cache: bool | None = None
    continues: Continued | None = None
    effort: Effort = ""
    prompt: str | None = None


class Began(Wire, frozen=True, omit_defaults=False):
    """What is known once an answer begins: how long it waited for a slot (s), and whether it comes from the cache."""

    queued_s: float = 0.0
    cache: Cache = ""


class Processed(Wire, frozen=True, omit_defaults=False):
    """How a request ended. `completion` is `null` for a streamed call; times are in seconds.

    `usage` is what the answer is made of; one that is a `hit` of the cache has taken no work.
    """

    usage: Usage
    finish_reason: str
    model: str
    completion: msgspec.Raw = msgspec.Raw(b"null")
    queued_s: Figure = 0.0
    first_token_s: Figure = 0.0
    duration_s: Figure = 0.0
    cache: Cache = ""
    response: str | None = None


class ModelStatus(Wire, frozen=True, omit_defaults=False):
    """One model of a worker now.

    `state` is `ready`, `idle` (a request loads it), `loading` or `away`; `context_tokens` is one slot's; `capabilities`
    are those of the backends' port. `queue_limit` is how many may wait. `tokens_per_s` and `first_token_s` (s, without the
    wait for a slot) are recent averages, `error_rate` the recent share of requests that failed by the backend's fault,
    `errors` and `served` count since the start. `memory_bytes` is 0 where it is not known.
    """

    name: Annotated[str, Meta(max_length=500)]
    backend: Annotated[str, Meta(max_length=100)]
    state: Annotated[str, Meta(max_length=20)]
    slots: Count
    busy: Count
    queued: Count
    queue_limit: Count = 0
    context_tokens: Count = 0
    capabilities: tuple[str, ...] = ("chat",)
    tokens_per_s: Figure = 0.0
    first_token_s: Figure = 0.0
    error_rate: Figure = 0.0
    errors: Count = 0
    served: Count = 0
    memory_bytes: Count = 0


class BackendStatus(Wire, frozen=True, omit_defaults=False):
    """One backend of a worker: whether it can be reached, and how many models it has. Why not is in the worker's log."""

    name: Annotated[str, Meta(max_length=100)]
    available: bool
    models: Count = 0


class WorkerStatus(Wire, frozen=True, omit_defaults=False):
    """What a worker has and how busy it is; a draining one takes no new request."""

    models: tuple[ModelStatus, ...] = ()
    draining: bool = False
    version: str = ""
    backends: tuple[BackendStatus, ...] = ()


class OfModel(Wire, frozen=True):
    """Names a model."""

    model: str


class CountPrompt(Wire, frozen=True):
    """A chat whose prompt is to be counted: `body` is the OpenAI request, `model` the worker's own name of the model."""

    body: msgspec.Raw
    model: str = ""


class PromptCount(Wire, frozen=True, omit_defaults=False):
    """How many tokens a chat's prompt has for a model: `exact` by the model's own tokenizer, else about so many."""

    prompt_tokens: int
    model: str
    exact: bool


PROCESS_REQUEST = Method(
    "processRequest", ProcessRequest, Processed, GATEWAYS, aliases=("processPrompt",), streams=True
)
EMBED = Method("embed", ProcessRequest, Processed, GATEWAYS)
"""`processRequest` for a request of the kind `embedding`, whatever `kind` says."""
LIST_MODELS = Method("listAvailableModels", Nothing, WorkerStatus, ANY_MEMBER, quiet=True)
COUNT_TOKENS = Method("countTokens", CountPrompt, PromptCount, GATEWAYS)
"""Takes no slot, and counts as no request of the model's."""
MODEL_STATUS = Method("getModelStatus", OfModel, ModelStatus, ANY_MEMBER, quiet=True)
LOAD_MODEL = Method("loadModel", OfModel, ModelStatus, GATEWAYS)
"""Answers once the model is ready."""
UNLOAD_MODEL = Method("unloadModel", OfModel, ModelStatus, GATEWAYS)
"""Answers once its memory is given back; requests under way are let end, those that wait are refused."""
WATCH_STATUS = Method("watchStatus", Nothing, Nothing, GATEWAYS, streams=True, quiet=True)
"""Chunks are `WorkerStatus`: one at once, one on every change, and at least one a second, until cancelled."""

METHODS = (PROCESS_REQUEST, EMBED, LIST_MODELS, COUNT_TOKENS, MODEL_STATUS, LOAD_MODEL, UNLOAD_MODEL, WATCH_STATUS)
