"""How far a request has come: which worker has it, what of the answer has been passed on, and how it ended."""

from collections.abc import Sequence
from typing import Any

from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.gateway.offers import Offer


class Progress:
    """One request under way. Tokens are those the engine has counted once it has ended, and until then an estimate:
    a token for each chunk of text that went to the caller, and `prompt_estimate` once the worker has begun.
    """

    def __init__(self, *, prompt_estimate: int, clock: Clock) -> None:
        self._prompt_estimate = prompt_estimate
        self._clock = clock
        self._began_at = clock.monotonic()
        self._offer: Offer | None = None
        self._given_at = 0.0
        self._chunks = 0
        self._attempts = 0
        self._resumed = 0
        self._processed: Processed | None = None
        self.first_token_s: float | None = None

    @property
    def model(self) -> str:
        """The model that answers; empty while none has been chosen."""
        return self._offer.status.name if self._offer else ""

    @property
    def worker(self) -> str:
        """The worker that has it, as a hex key; empty while none has."""
        return self._offer.worker.hex if self._offer else ""

    @property
    def duration_s(self) -> float:
        """How long it has taken so far."""
        return self._clock.monotonic() - self._began_at

    @property
    def estimated(self) -> bool:
        """Whether `usage` is not the engine's own count."""
        return self._processed is None

    @property
    def usage(self) -> Usage:
        """What has been used so far."""
        if self._processed is not None:
            return self._processed.usage
        if self._offer is None:
            return Usage()
        if self.first_token_s is not None:
            return Usage(prompt_tokens=self._prompt_estimate, completion_tokens=self._chunks)
        return self._unseen(self._offer)

    @property
    def facts(self) -> dict[str, Any]:
        """What the log and the trace tell of it; what is not known is none."""
        if not self._attempts:
            return {}
        usage, processed = self.usage, self._processed
        return {
            "model": self.model or None,
            "asked": self._offer.worker.name if self._offer else None,
            "attempts": self._attempts,
            "resumed": self._resumed or None,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "estimated": self.estimated or None,
            "first_token_ms": None if self.first_token_s is None else round(self.first_token_s * 1000, 3),
            "queued_ms": None if processed is None else round(processed.queued_s * 1000, 3),
            "finish": None if processed is None else processed.finish_reason,
            "cache": None if processed is None else processed.cache or None,
        }

    def given(self, offer: Offer) -> None:
        """A worker has been given the request."""
        self._attempts += 1
        if self.first_token_s is not None:
            self._resumed += 1
        self._offer = offer
        self._given_at = self._clock.monotonic()

    def relayed(self, chunks: Sequence[bytes]) -> None:
        """Chunks of the answer go to the caller."""
        if self.first_token_s is None:
            self.first_token_s = self.duration_s
        self._chunks += sum(map(_says, chunks))

    def ended(self, processed: Processed) -> None:
        """The answer is whole."""
        self._processed = processed

    def refused(self) -> None:
        """The worker did not take it: nothing has been used there."""
        self._offer = None

    def _unseen(self, offer: Offer) -> Usage:
        """What an answer of which nothing has been seen has used, by the model's own figures."""
        status = offer.status
        generating_s = self._clock.monotonic() - self._given_at - status.first_token_s
        if generating_s <= 0:
            return Usage()
        return Usage(prompt_tokens=self._prompt_estimate, completion_tokens=int(generating_s * status.tokens_per_s))


def _says(chunk: bytes) -> bool:
    """Whether a chunk adds to the answer: to its text or its thoughts, a text of the older API, a tool's arguments. Spelt
    out, as it is asked of every chunk."""
    says = b'content":"' in chunk or b'"text":"' in chunk or b'"arguments":"' in chunk
    return says and b'"content":""' not in chunk and b'"text":""' not in chunk
