"""The echo backend's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings
from hyperinfer.workers.inference.backends import (
    BIAS,
    CHAT,
    COMPLETION,
    CONTINUES,
    DIMENSIONS,
    EMBEDDING,
    JSON,
    LOGPROBS,
    TOOLS,
)

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
MAX_DIMENSIONS = 4096
"""The longest embedding; it is made number by number while everybody waits."""
Fault = Literal["none", "before_first_token", "in_mid_stream", "stall", "garbage"]


class EchoSettings(Settings, frozen=True):
    """A backend without a model: it says the last user message again. For tests and benchmarks.

    `tokens` above 0 answers so many numbered words instead. A token is a word. Where a format, a schema or a tool is asked
    for, the smallest thing that is valid there is answered; embeddings are made of a hash. With the capability `reasoning`
    it thinks first if it is told to. `fault` fails every request: before the first token, after `fault_after_tokens`, by
    saying nothing more from there on (`stall`), or (`garbage`) answers text made to confuse whoever passes it on.
    `capabilities` are what it says that it can do; `load_s` is how long loading takes of a model that was unloaded.
    """

    enabled: bool = False
    model: str = "echo"
    slots: Count = 256
    context_tokens: Count = 8192
    tokens: Annotated[int, Meta(ge=0, le=100_000)] = 0
    tokens_per_chunk: Count = 1
    first_token_s: Seconds = 0.0
    token_s: Seconds = 0.0
    load_s: Seconds = 0.0
    dimensions: Annotated[int, Meta(ge=1, le=MAX_DIMENSIONS)] = 64
    capabilities: tuple[str, ...] = (CHAT, COMPLETION, EMBEDDING, JSON, TOOLS, LOGPROBS, BIAS, CONTINUES, DIMENSIONS)
    fault: Fault = "none"
    fault_after_tokens: Annotated[int, Meta(ge=0)] = 3
