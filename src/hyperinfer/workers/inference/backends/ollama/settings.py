"""The ollama backend's settings. Times in seconds."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings
from hyperinfer.kernel.settings_tree import SECRET, Secret

Seconds = Annotated[float, Meta(gt=0)]


class OllamaSettings(Settings, frozen=True):
    """An Ollama server. `enabled` `auto` uses the one at `url` whenever it answers, and says nothing where there is none;
    `true` also warns of it.

    `models` are patterns of the models that the swarm may use, by Ollama's names; models that Ollama itself only passes
    on to a machine elsewhere are left out unless `remote_models` is set. `slots` is how many requests of one model are
    in flight, and has to be Ollama's own `OLLAMA_NUM_PARALLEL` (1, unless somebody has changed it).

    `context_tokens` is asked for with every request (`num_ctx`); left out, it is what Ollama gives. `context_shift` lets a
    model forget the beginning of what is too long instead of ending the answer; other programs ask for that without
    knowing, and Ollama loads a model anew for whoever asks otherwise than the one before. `keep_alive` is how long a model
    stays loaded after a request, as Ollama writes it (`10m`, `-1` for ever); empty leaves it to Ollama. `options` go with
    every request (`{"num_gpu": 20}`); what a request says itself comes first. `continues` are patterns of the models whose
    templates leave a last message of the assistant open, so that an answer that was cut can be gone on with.

    Ollama is looked at every `look_every_s`, and has failed if it takes longer than `look_timeout_s`; for `grace_s` after
    that its models are shown as away, then not at all. `load_timeout_s` is how long it may be silent: before it answers
    it loads the model.
    """

    enabled: Literal["auto"] | bool = "auto"
    url: str = "http://127.0.0.1:11434"
    api_key: Secret = ""
    headers: Annotated[dict[str, str], SECRET] = {}
    models: tuple[str, ...] = ("*",)
    remote_models: bool = False
    continues: tuple[str, ...] = ()
    slots: Annotated[int, Meta(ge=1, le=64)] = 1
    context_tokens: Annotated[int, Meta(ge=256)] | None = None
    context_shift: bool = False
    keep_alive: Annotated[str, Meta(pattern=r"^(-?\d+|-?(\d+(\.\d+)?(ms|s|m|h))+)?$")] = ""
    options: dict[str, Any] = {}
    look_every_s: Seconds = 5.0
    look_timeout_s: Seconds = 10.0
    grace_s: Annotated[float, Meta(ge=0)] = 30.0
    connect_timeout_s: Seconds = 5.0
    load_timeout_s: Seconds = 600.0
