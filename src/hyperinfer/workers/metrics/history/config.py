"""How long figures are kept, and in which steps."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings

HOUR_S = 3600
DAY_S = 24 * HOUR_S


class HistorySettings(Settings, frozen=True):
    """Figures as they were collected are kept for `collected_s`, means over a minute for `minutes_s`, over ten minutes for
    `ten_minutes_s`; the oldest go sooner where the file would grow beyond `max_bytes`. Written every `write_s`."""

    enabled: bool = True
    collected_s: Annotated[int, Meta(ge=60, le=DAY_S)] = 2 * HOUR_S
    minutes_s: Annotated[int, Meta(ge=60, le=30 * DAY_S)] = 48 * HOUR_S
    ten_minutes_s: Annotated[int, Meta(ge=60, le=366 * DAY_S)] = 30 * DAY_S
    max_bytes: Annotated[int, Meta(ge=1024 * 1024)] = 256 * 1024 * 1024
    write_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
