"""The inference worker's settings. Times in seconds."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings
from hyperinfer.workers.inference.backends.openai.settings import OpenAISettings
from hyperinfer.workers.inference.cache.config import CacheSettings


class InferenceSettings(WorkerSettings, frozen=True):
    """What an inference worker can be told.

    `queue` is how many requests may wait for a slot of one model, shared among users as they come, and `queue_wait_s` how
    long; with 0 what finds no slot free is refused. `default_model` answers requests that name none; empty means the first.
    A backend that says nothing for `first_token_timeout_s` before an answer, or for `stall_timeout_s` within one, has failed.
    """

    cache: CacheSettings = CacheSettings()
    llamacpp: LlamaCppSettings = LlamaCppSettings()
    ollama: OllamaSettings = OllamaSettings()
    openai: OpenAISettings = OpenAISettings()
    echo: EchoSettings = EchoSettings()
    queue: Annotated[int, Meta(ge=0, le=4096)] = 64
    queue_wait_s: Annotated[float, Meta(gt=0)] = 120.0
    first_token_timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    stall_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    default_model: str = ""
