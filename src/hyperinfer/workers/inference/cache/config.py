"""The response cache's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings
from hyperinfer.kernel.settings_tree import Secret


class CacheSettings(Settings, frozen=True):
    """Which answers are kept to be given again, where, and for how long.

    `use` is `asked` (for requests that ask for it), `always` (for all that do not ask for the contrary) or `never`.
    `shared` says what users may be given that others have asked for: `nothing`, `embeddings` or `everything`. Who can ask
    for what is shared learns, by the time it takes, what others have asked.

    Answers longer than `max_entry_bytes` are not kept, and none longer than `ttl_s`. In memory they take `max_bytes`, of
    which the least used are given up first. `redis_url` (`redis://`, `rediss://` or `unix://`, with its password) keeps them
    in a Redis instead, encrypted, for all inference workers that name it, under names beginning with `redis_prefix`; one
    that has not answered within `redis_timeout_s` knows of nothing.
    """

    use: Literal["never", "asked", "always"] = "asked"
    shared: Literal["nothing", "embeddings", "everything"] = "nothing"
    ttl_s: Annotated[float, Meta(gt=0)] = 3600.0
    max_bytes: Annotated[int, Meta(ge=0)] = 64 * 1024 * 1024
    max_entry_bytes: Annotated[int, Meta(ge=1, le=16 * 1024 * 1024)] = 512 * 1024
    redis_url: Secret | None = None
    redis_prefix: Annotated[str, Meta(min_length=1, max_length=100)] = "hyperinfer"
    redis_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 0.1
