"""Whether a model can take texts to go on with, or to embed: one or several, written out or as token numbers."""

from typing import cast

from hyperinfer.contracts.openai import CompletionRequest, EmbeddingRequest
from hyperinfer.contracts.openai.requests import Inputs
from hyperinfer.errors import BadRequest
from hyperinfer.workers.inference.backends import DIMENSIONS, LOGPROBS, SUFFIX, TOKENS
from hyperinfer.workers.inference.requests.chat import MAX_ANSWERS, check_bias
from hyperinfer.workers.inference.requests.refusals import need, unsupported

MAX_INPUTS = 2048
"""Texts in one request for embeddings, at most, as at OpenAI."""

Text = str | tuple[int, ...]


def texts_of(given: Inputs, param: str) -> tuple[Text, ...]:
    """Every text of a request. Raises `BadRequest` if texts and tokens are mixed."""
    if isinstance(given, str):
        return (given,)
    kinds = {type(item) for item in given}
    if len(kinds) != 1:
        raise BadRequest(f"{param} is a text, a list of texts, or tokens by number, not a mixture.", param=param)
    if kinds == {int}:
        return (cast(tuple[int, ...], given),)
    return cast(tuple[Text, ...], given)


def check_completion(asked: CompletionRequest, capabilities: tuple[str, ...]) -> None:
    """Raise `Unsupported` or `BadRequest` for the first thing that a model with these capabilities cannot do."""
    texts = texts_of(asked.prompt, "prompt")
    _check_texts(texts, "prompt", capabilities)
    answers = len(texts) * (asked.n or 1)
    if answers > MAX_ANSWERS:
        raise BadRequest(f"Prompts times n may be {MAX_ANSWERS} at most; this asks for {answers}.", param="n")
    if asked.best_of is not None and asked.best_of != (asked.n or 1):
        raise unsupported("best_of", "Every answer is given: leave it out, or at n.")
    if asked.suffix is not None:
        need(SUFFIX, capabilities, "suffix", "This model cannot fill in between two texts.")
        if len(texts) > 1:
            raise BadRequest("suffix goes with a single prompt.", param="suffix")
    if asked.logprobs is not None:
        need(LOGPROBS, capabilities, "logprobs", "This model tells no logprobs.")
    if asked.echo and (asked.logprobs is not None or not all(isinstance(text, str) for text in texts)):
        raise unsupported("echo", "Prompts are repeated as text, without logprobs.")
    check_bias(asked.logit_bias, capabilities)


def check_embedding(asked: EmbeddingRequest, capabilities: tuple[str, ...]) -> None:
    """Raise `Unsupported` or `BadRequest` for the first thing that a model with these capabilities cannot do."""
    texts = texts_of(asked.input, "input")
    if len(texts) > MAX_INPUTS:
        raise BadRequest(f"input may hold {MAX_INPUTS} texts; this one holds {len(texts)}.", param="input")
    _check_texts(texts, "input", capabilities)
    if any(not text for text in texts):
        raise BadRequest("input holds an empty text.", param="input")
    if asked.dimensions is not None:
        need(DIMENSIONS, capabilities, "dimensions", "This model's embeddings have one length.")


def _check_texts(texts: tuple[Text, ...], param: str, capabilities: tuple[str, ...]) -> None:
    if not all(isinstance(text, str) for text in texts):
        need(TOKENS, capabilities, param, "This model takes text, not token numbers.")
