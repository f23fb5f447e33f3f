"""What models answer with: typed, snake_case as the HTTP API, unknown fields passed over."""

from typing import Any

import msgspec

from hyperinfer.errors import BackendFailed
from hyperinfer.sdk.messages import CalledFunction, Message, MessageToolCall


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model calls; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any]:
        """The arguments. Raises `BackendFailed` where the model wrote no JSON object."""
        try:
            return msgspec.json.decode(self.arguments or "{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise BackendFailed(f"The model called {self.name} with what is no JSON object.") from error


class Answer(msgspec.Struct, frozen=True):
    """A model's answer.

    `finish_reason` is `stop`, `length` where it was cut off, or `tool_calls`; `id` is the completion's. `thinking` is what
    the model thought aloud, where it does; `refusal` why it would not answer. `worker` is the start of the key of who
    answered, `request_id` names the request in the operator's log.
    """

    text: str
    model: str
    finish_reason: str = "stop"
    usage: Usage = Usage()
    id: str = ""
    thinking: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    worker: str = ""
    request_id: str = ""

    @property
    def message(self) -> Message:
        """The answer as a message, to go on with the conversation."""
        message = Message(role="assistant", content=self.text or None)
        if self.tool_calls:
            message["tool_calls"] = [
                MessageToolCall(
                    id=call.id, type="function", function=CalledFunction(name=call.name, arguments=call.arguments)
                )
                for call in self.tool_calls
            ]
        return message


class Embeddings(msgspec.Struct, frozen=True):
    """A vector for each text, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage = Usage()
    worker: str = ""
    request_id: str = ""


class Inference(msgspec.Struct, frozen=True):
    """The answer to a single prompt."""

    response: str
    model: str
    usage: Usage | None = None
    request_id: str = msgspec.field(name="requestId", default="")


class Model(msgspec.Struct, frozen=True):
    """A model that the swarm serves now, or an alias, summed over its workers.

    `state` is the best of its workers': `ready`, `idle` (a request loads it) or `loading`; `context_tokens` is what one
    request may use. `capabilities` say what it can do; `tokens_per_s` and `first_token_s` are recent means, `error_rate` the
    recent share of failures. An alias says in `answered_by` which models it stands for.
    """

    id: str
    created: int = 0
    workers: int = 0
    slots: int = 0
    busy: int = 0
    context_tokens: int = 0
    queued: int = 0
    state: str = "ready"
    capabilities: tuple[str, ...] = ()
    tokens_per_s: float = 0.0
    first_token_s: float = 0.0
    error_rate: float = 0.0
    answered_by: tuple[str, ...] = ()


class WorkerModel(msgspec.Struct, frozen=True):
    """One model of one worker now: its state, how many slots are busy and requests queued, and recent averages."""

    name: str
    backend: str
    state: str
    slots: int
    busy: int
    queued: int
    queue_limit: int = 0
    context_tokens: int = 0
    capabilities: tuple[str, ...] = ()
    tokens_per_s: float = 0.0
    first_token_s: float = 0.0
    error_rate: float = 0.0
    errors: int = 0
    served: int = 0
    memory_bytes: int = 0


class WorkerBackend(msgspec.Struct, frozen=True):
    """What a worker runs models with, or reaches them by, and whether that is there."""

    name: str
    available: bool
    models: int = 0


class SwarmWorker(msgspec.Struct, frozen=True):
    """An inference worker as the gateway sees it: `ready`, `draining` or `lost`. `in_flight` are that gateway's requests;
    `broken` are models that it leaves alone for now, because they kept failing."""

    key: str
    name: str
    state: str
    in_flight: int = 0
    models: tuple[WorkerModel, ...] = ()
    backends: tuple[WorkerBackend, ...] = ()
    version: str = ""
    broken: tuple[str, ...] = ()


class Placed(msgspec.Struct, frozen=True):
    """How a model stands at a worker after it was to be loaded or unloaded; `error` says why it was not."""

    worker: str
    status: WorkerModel | None = None
    error: str = ""
