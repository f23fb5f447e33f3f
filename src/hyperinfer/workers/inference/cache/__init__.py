"""The response cache: whole answers to requests that have only one, kept to be given again.

`ResponseCache` is what the service uses. `keys` says which requests have only one answer and what it is kept under,
`recording` gathers an answer as it goes by, `kept` writes it down; `memory` and `shared` are the two places to keep it.
"""

from hyperinfer.workers.inference.cache.config import CacheSettings
from hyperinfer.workers.inference.cache.kept import Kept, Said
from hyperinfer.workers.inference.cache.keys import CacheKey
from hyperinfer.workers.inference.cache.opened import in_memory, open_cache
from hyperinfer.workers.inference.cache.recording import Recording
from hyperinfer.workers.inference.cache.responses import ResponseCache

__all__ = ["CacheKey", "CacheSettings", "Kept", "Recording", "ResponseCache", "Said", "in_memory", "open_cache"]
