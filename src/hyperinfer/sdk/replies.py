"""What models answer with: typed, snake_case as the HTTP API, unknown fields passed over."""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A model's answer. `finish_reason` is `stop`, or `length` where it was cut off; `id` is the completion's."""

    text: str
    model: str
    finish_reason: str = "stop"
    usage: Usage = Usage()
    id: str = ""


class Model(msgspec.Struct, frozen=True):
    """A model that the swarm serves now, summed over its workers; `context_tokens` is what one request may use."""

    id: str
    workers: int = 0
    slots: int = 0
    busy: int = 0
    context_tokens: int = 0
