"""What stands on every chunk of an answer."""

from dataclasses import dataclass

from hyperinfer.contracts.inference import Kind

PREFIXES = {"chat": "chatcmpl", "completion": "cmpl", "embedding": "embd"}
"""How the ids of answers begin, as at OpenAI."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An answer's id, when it was asked for (seconds since the epoch), the model and the kind of request."""

    id: str
    created: int
    model: str
    kind: Kind = "chat"
