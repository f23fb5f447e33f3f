"""How the next token is chosen, in Ollama's words: the `options` of a request. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from hyperinfer.contracts.openai.requests import Penalty, Stops
from hyperinfer.errors import Unsupported

NEUTRAL: Mapping[str, float] = {"typical_p": 1.0, "repeat_last_n": 64}
"""Options that not every engine knows, and the value of each that changes nothing: Ollama's own."""


class OllamaOptions(Struct, frozen=True, kw_only=True):
    """What a request may say. How a model is loaded (`num_ctx`, `num_gpu`, `num_thread`, …) is its worker's business, and
    passed over; so is what Ollama itself passes over by now (`mirostat`, `tfs_z`, …).

    `num_predict` is the longest answer in tokens; below 1 nothing but the model's context limits it.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    num_predict: Annotated[int, Meta(ge=-2, lt=2**31)] | None = None
    stop: Stops | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None

    @property
    def limit_tokens(self) -> int | None:
        """How many tokens an answer may have; `None` where nothing is said, or nothing limits it."""
        return None if self.num_predict is None or self.num_predict < 1 else self.num_predict


NO_OPTIONS = OllamaOptions()
SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
)
"""Options that are called the same in an OpenAI request, or in what engines add to it."""


def sampled(options: OllamaOptions) -> dict[str, Any]:
    """The fields of an OpenAI request; those that are not set are `None`. Raises `Unsupported`."""
    for name, neutral in NEUTRAL.items():
        if getattr(options, name) not in (None, neutral):
            param = f"options.{name}"
            raise Unsupported(f"{param}: Not every engine of this swarm knows it; leave it out.", param=param)
    fields: dict[str, Any] = {name: getattr(options, name) for name in SAME}
    return fields | {"stop": options.stop or None, "max_tokens": options.limit_tokens}
