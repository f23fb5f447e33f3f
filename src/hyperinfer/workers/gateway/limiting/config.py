"""Settings of the gateway's limiter."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import Settings
from hyperinfer.kernel.settings_tree import Secret


class LimiterSettings(Settings, frozen=True):
    """How limits are counted. What they are is said by tiers, and by administrators for people and keys.

    `scope` says for whom a limit holds: with `swarm`, for all gateways together, which takes a Redis where there are several;
    with `gateway`, for each by itself. `redis_url` is that Redis (`redis://`, `rediss://` or `unix://`, with its password);
    what is kept there has names beginning with `redis_prefix`. A Redis that has not answered within `redis_timeout_s` seconds is
    away. `max_logged` bounds what is remembered in memory: admissions of all subjects in all windows, at most 32 bytes each.
    """

    scope: Literal["swarm", "gateway"] = "swarm"
    redis_url: Secret | None = None
    redis_prefix: Annotated[str, Meta(min_length=1, max_length=100)] = "hyperinfer"
    redis_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 0.25
    max_logged: Annotated[int, Meta(ge=1000)] = 4_000_000
