"""Settings of usage reports."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings

Address = Annotated[str, Meta(max_length=320)]


class ReportSettings(Settings, frozen=True):
    """Which usage reports are made, when, and who gets them.

    `at` is a time of day in UTC: a day's report is made then on the day after it, a week's (Monday to Sunday) on Monday. They are kept
    for `keep_days`. `to` are e-mail addresses; without any, or without a mail server (`mail.host`), nothing is sent.
    """

    daily: bool = True
    weekly: bool = True
    at: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "00:10"
    keep_days: Annotated[int, Meta(ge=1, le=366)] = 35
    to: Annotated[tuple[Address, ...], Meta(max_length=50)] = ()
