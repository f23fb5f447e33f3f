"""Which models a credential may use. Pure."""

from collections.abc import Sequence

from hyperinfer.contracts.auth import Principal
from hyperinfer.errors import BadRequest, Forbidden

MAX_MODEL_CHARS = 200
MODELS_NAMED = 20
"""How many models an error names at most."""


def check_name(model: str) -> None:
    """Raise `BadRequest` for what cannot be a model's name."""
    if len(model) > MAX_MODEL_CHARS:
        raise BadRequest(f"model: a name has at most {MAX_MODEL_CHARS} characters.", param="model")


def refused(who: Principal, model: str) -> Forbidden:
    """This API key is not for this model."""
    named = ", ".join(who.models[:MODELS_NAMED]) + (", …" if len(who.models) > MODELS_NAMED else "")
    return Forbidden(f"This API key is not for the model {model!r}. It is for: {named}.", param="model")


def may_use(patterns: Sequence[str], model: str) -> bool:
    """Whether a model is among those named; a `*` at the end of a name stands for any ending, no name means all."""
    return not patterns or any(
        model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern for pattern in patterns
    )
