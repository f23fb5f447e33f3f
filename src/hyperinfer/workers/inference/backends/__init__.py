"""The port to what runs models: a catalogue of what there is, and one chat at a time that says its answer in deltas."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hyperinfer.contracts.openai import ChatRequest, CompletionUsage, Delta

State = Literal["ready", "loading", "away"]

CHAT = "chat"
JSON = "json"
"""Answers JSON, and JSON under a schema, when asked to."""


@dataclass(frozen=True, slots=True)
class BackendModel:
    """A model of a backend now; `reason` tells the operator in a sentence why it is not ready. `context_tokens` is one slot's."""

    name: str
    state: State
    slots: int
    context_tokens: int
    capabilities: tuple[str, ...] = (CHAT,)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended, and what it took by the backend's own count."""

    finish_reason: str
    usage: CompletionUsage


Emit = Callable[[Sequence[Delta]], Awaitable[None]]
"""Takes the next deltas of an answer; returns when more may come."""


class Backend(Protocol):
    """Runs models, or reaches them. It calls back when its catalogue has changed."""

    @property
    def name(self) -> str:
        """What the backend is called in status and metrics."""

    def models(self) -> Sequence[BackendModel]:
        """What it has now; costs next to nothing."""

    async def chat(self, model: str, request: ChatRequest, emit: Emit) -> End:
        """Answer a request, delta by delta. It is called with at most the model's slots in flight; cancelling it stops
        the work at the backend within a second.

        Raises `ContextExceeded`, `BadRequest`, `BackendFailed` (also for an answer that has no end), `Unavailable`.
        """
