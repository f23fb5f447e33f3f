"""What gateways ask of inference workers: run a request, and say what you have and how busy you are."""

from typing import Literal

import msgspec

from hyperinfer.contracts.method import ANY_MEMBER, Method, Nothing, Wire, members

GATEWAYS = members("gateway")

Kind = Literal["chat"]


class Usage(Wire, frozen=True, omit_defaults=False):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


class ProcessRequest(Wire, frozen=True):
    """One request to a model.

    `body` is the OpenAI request as its sender wrote it. The worker stamps `completion_id`, `created` (seconds since the
    epoch) and `public_model` on every chunk, so that nobody behind it has to write JSON again. `model` is the worker's
    own name of the model; `fair_key` is an opaque name of the user, for fair queueing. With a streamed call the chunks
    are raw OpenAI chunk objects; otherwise the reply's `completion` is the whole OpenAI object.
    A plain peer may send `prompt` alone; the default model then answers it as a single user message.
    """

    model: str = ""
    kind: Kind = "chat"
    body: msgspec.Raw = msgspec.Raw(b"")
    completion_id: str = ""
    created: int = 0
    public_model: str = ""
    fair_key: str = ""
    prompt: str | None = None


class Processed(Wire, frozen=True, omit_defaults=False):
    """How a request ended. `completion` is `null` for a streamed call; times are in seconds."""

    usage: Usage
    finish_reason: str
    model: str
    completion: msgspec.Raw = msgspec.Raw(b"null")
    first_token_s: float = 0.0
    duration_s: float = 0.0
    response: str | None = None


class ModelStatus(Wire, frozen=True, omit_defaults=False):
    """One model of a worker now. `state` is `ready`, `loading` or `away`; `context_tokens` is one slot's."""

    name: str
    backend: str
    state: str
    slots: int
    busy: int
    queued: int
    context_tokens: int = 0
    capabilities: tuple[str, ...] = ("chat",)
    tokens_per_s: float = 0.0
    first_token_s: float = 0.0
    errors: int = 0
    served: int = 0


class WorkerStatus(Wire, frozen=True, omit_defaults=False):
    """What a worker has and how busy it is; a draining one takes no new request."""

    models: tuple[ModelStatus, ...] = ()
    draining: bool = False
    version: str = ""


class OfModel(Wire, frozen=True):
    """Names a model."""

    model: str


PROCESS_REQUEST = Method(
    "processRequest", ProcessRequest, Processed, GATEWAYS, aliases=("processPrompt",), streams=True
)
LIST_MODELS = Method("listAvailableModels", Nothing, WorkerStatus, ANY_MEMBER)
MODEL_STATUS = Method("getModelStatus", OfModel, ModelStatus, ANY_MEMBER)
WATCH_STATUS = Method("watchStatus", Nothing, Nothing, GATEWAYS, streams=True)
"""Chunks are `WorkerStatus`: one at once, one on every change, and at least one a second, until cancelled."""

METHODS = (PROCESS_REQUEST, LIST_MODELS, MODEL_STATUS, WATCH_STATUS)
