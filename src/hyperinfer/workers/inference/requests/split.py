"""A request for several answers, taken apart into requests for one, for backends that give one at a time."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, EmbeddingRequest
from hyperinfer.workers.inference.backends import CHOICES, Job
from hyperinfer.workers.inference.requests.read import Request
from hyperinfer.workers.inference.requests.texts import texts_of

Generating = Job[ChatRequest] | Job[CompletionRequest]


def split(request: Request, model: str, capabilities: tuple[str, ...]) -> tuple[Generating, ...]:
    """What a backend has to be asked, in the order of the answers' indexes: of several prompts all answers to the first
    one come first."""
    asked = request.asked
    assert not isinstance(asked, EmbeddingRequest)
    whole = cast(Generating, Job(model, asked, request.body))
    own = 1 if CHOICES in capabilities else asked.n or 1
    prompt = asked.prompt if isinstance(asked, CompletionRequest) else None
    texts = (None,) if prompt is None else texts_of(prompt, "prompt")
    if own == len(texts) == 1 and prompt == texts[0]:  # a list with a single text is taken apart, too
        return (whole,)
    return tuple(whole.changed(**_changes(asked, text, number, answers=own)) for text in texts for number in range(own))


def _changes(asked: ChatRequest | CompletionRequest, text: Any, number: int, *, answers: int) -> dict[str, Any]:
    """What the request for one answer says otherwise. Each has a seed of its own: the same one gives the same answer."""
    changes: dict[str, Any] = {} if text is None else {"prompt": text}
    if answers > 1:
        changes["n"] = 1
        if isinstance(asked, CompletionRequest):
            changes["best_of"] = None
        if asked.seed is not None:
            changes["seed"] = asked.seed + number
    return changes


def indexes(jobs: Sequence[Generating]) -> Iterator[tuple[int, Generating]]:
    """Each job with the index of its first answer."""
    at = 0
    for job in jobs:
        yield at, job
        at += job.request.n or 1
