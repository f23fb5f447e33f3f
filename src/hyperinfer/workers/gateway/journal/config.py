"""Settings of the gateway's journal of usage."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings


class JournalSettings(Settings, frozen=True):
    """What the journal can be told.

    `max_undelivered` is how many requests may wait for auth to take them in, some 900 bytes of disk each; beyond it no
    more are served.
    """

    max_undelivered: Annotated[int, Meta(ge=1)] = 1_000_000
