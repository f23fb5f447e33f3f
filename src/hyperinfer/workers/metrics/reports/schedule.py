"""When reports are made and sent: by the clock, those that were missed made up, each once; what cannot be done is tried again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import structlog
from msgspec.structs import replace

from hyperinfer.errors import ConfigError, HyperinferError, MailRefused, TooLarge
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.mail import MAX_ATTACHED_BYTES, Attachment, Mail
from hyperinfer.workers.metrics.reports.config import ReportSettings
from hyperinfer.workers.metrics.reports.kept import Kept, Shelf
from hyperinfer.workers.metrics.reports.making import Maker
from hyperinfer.workers.metrics.reports.periods import Period, due, named, oldest_kept

LOOK_EVERY_S = 30.0
FIRST_RETRY_S = 30.0
LAST_RETRY_S = 3600.0
MAIL_FOR = timedelta(days=1)
"""How long it is tried to send a report: after that the next one is more to the point."""
QUIET_TRIES = 2
"""Failures that nobody need be told of: workers that start together find each other within a minute."""
IN_VAIN = (MailRefused, ConfigError, TooLarge)

log = structlog.get_logger(__name__)


class Post(Protocol):
    """Hands an e-mail to a mail server. Raises `Unavailable` where it may be tried again, `MailRefused` where that is in vain."""

    async def send(self, mail: Mail) -> None:
        """Send one."""


class Again:
    """When something that failed is tried again: after a while that doubles."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before = 0.0
        self.tries = 0

    @property
    def may(self) -> bool:
        """Whether it is time."""
        return self._clock.monotonic() >= self._not_before

    def failed(self) -> float:
        """Wait longer; says how long."""
        wait_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self.tries, 10))
        self.tries += 1
        self._not_before = self._clock.monotonic() + wait_s
        return wait_s

    def succeeded(self) -> None:
        """Begin anew."""
        self.tries, self._not_before = 0, 0.0


class Schedule:
    """Makes and sends reports while `run` runs."""

    def __init__(
        self, shelf: Shelf, maker: Maker, *, settings: ReportSettings, post: Post | None, clock: Clock
    ) -> None:
        self._shelf = shelf
        self._maker = maker
        self._settings = settings
        self._post = post if settings.to else None
        self._clock = clock
        self._loaded = False
        self._making = Again(clock)
        self._mailing = Again(clock)

    async def run(self) -> None:
        """Look now and again, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Do what is due."""
        if self._making.may:
            await self._tried(self._make_due, self._making, "reports_not_made")
        if self._loaded and self._post is not None and self._mailing.may:
            await self._tried(self._send_waiting, self._mailing, "reports_not_mailed")

    async def _tried(self, work: Callable[[], Awaitable[None]], again: Again, event: str) -> None:
        try:
            await work()
        except HyperinferError as error:
            tell = log.info if again.tries < QUIET_TRIES else log.warning
            tell(event, reason=error.message, again_in_s=again.failed())
        else:
            again.succeeded()

    async def _make_due(self) -> None:
        now = self._clock.now()
        if not self._loaded:
            await self._shelf.load(now.date())
            self._loaded = True
        for period in due(now, self._settings, begun=self._shelf.begun):
            if self._shelf.get(period.name) is None:
                await self._make(period)
        if gone := await self._shelf.drop_old(oldest_kept(now, self._settings)):
            log.info("reports_dropped", count=gone)

    async def _make(self, period: Period) -> None:
        made = await self._maker.make(period)
        kept = replace(made.kept, post="waiting" if self._post is not None else "none")
        await self._shelf.put(kept, made.texts)
        log.info("report_made", report=period.name, requests=kept.requests)

    async def _send_waiting(self) -> None:
        """Send those that wait, the oldest first; one that nobody takes keeps none of the others back."""
        for kept in reversed(self._shelf.all):
            if kept.post == "waiting":
                await self._send(kept)

    async def _send(self, kept: Kept) -> None:
        assert self._post is not None, "nothing waits where nobody is to get it"
        if self._clock.now() - kept.made_at > MAIL_FOR:
            log.error("report_not_mailed", report=kept.name, reason="The mail server could not be had for a day.")
            await self._shelf.note(replace(kept, post="failed"))
            return
        try:
            await self._post.send(await self._mail(kept))
        except IN_VAIN as error:
            log.error("report_not_mailed", report=kept.name, reason=error.message)
            await self._shelf.note(replace(kept, post="failed"))
        else:
            await self._shelf.note(replace(kept, post="sent", mailed_at=self._clock.now()))
            log.info("report_mailed", report=kept.name, recipients=len(self._settings.to))

    async def _mail(self, kept: Kept) -> Mail:
        table: Attachment = (f"{kept.name}.csv", "text/csv", (await self._shelf.text(kept.name, "csv")).encode())
        fits = len(table[2]) <= MAX_ATTACHED_BYTES  # what does not is had by the command that the page names
        return Mail(
            subject=f"hyperinfer usage: {named(kept.name).title}",
            text=await self._shelf.text(kept.name, "text"),
            html=await self._shelf.text(kept.name, "html"),
            to=self._settings.to,
            attachments=(table,) if fits else (),
        )
