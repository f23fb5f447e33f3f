"""How the parts of alerts are put together: rules, what is remembered, who is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.mail import Mailer, MailSettings
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.metrics.alerts.config import MAX_WEBHOOKS, AlertSettings
from hyperinfer.workers.metrics.alerts.evaluating import Alerts
from hyperinfer.workers.metrics.alerts.meters import Meters
from hyperinfer.workers.metrics.alerts.notifying.mail import Letters
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice
from hyperinfer.workers.metrics.alerts.notifying.outbox import Outbox, Receiver
from hyperinfer.workers.metrics.alerts.notifying.trial import Trial
from hyperinfer.workers.metrics.alerts.notifying.webhook import Webhook, user_agent
from hyperinfer.workers.metrics.alerts.rules import rules_of
from hyperinfer.workers.metrics.alerts.store import Kept, Store

MISSED = 4
"""After so many collections without one, nothing is known of the time between."""
MIN_GAP_S = 60.0
FAREWELL_S = 3.0
"""How long a worker that stops waits for receivers to take what there is; the rest is told after the next start."""


@asynccontextmanager
async def alerting(
    settings: AlertSettings,
    mail: MailSettings,
    *,
    folder: Path,
    interval_s: float,
    remember_s: float,
    clock: Clock,
    registry: CollectorRegistry,
) -> AsyncIterator[Alerts]:
    """Alerts over collections that come every `interval_s` and are remembered for `remember_s`, for the length of the block; what they remember is in the folder.

    Raises `ConfigError` for settings that cannot be meant.
    """
    store, meters = Store(folder), Meters(registry)
    dirty = asyncio.Event()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_WEBHOOKS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=user_agent(),
                read_bufsize=4096,
                auto_decompress=False,
            )
        )
        receivers = _receivers(settings, mail, session=session, clock=clock)
        kept = await asyncio.to_thread(store.load)
        outboxes = [
            Outbox(one, kept.waiting.get(one.name, ()), clock=clock, meters=meters, changed=dirty.set)
            for one in receivers
        ]

        def tell(notice: Notice) -> None:
            for outbox in outboxes:
                outbox.add(notice)

        alerts = Alerts(
            rules_of(settings.rules, remember_s=remember_s),
            settings,
            kept.book,
            clock=clock,
            gap_s=max(MIN_GAP_S, MISSED * interval_s),
            tell=tell,
            changed=dirty.set,
            trial=Trial(receivers, clock=clock),
        )
        meters.show_open(alerts.open)

        def content() -> Kept:
            return Kept(book=alerts.book, waiting={outbox.name: list(outbox.waiting) for outbox in outboxes})

        for outbox in outboxes:
            await stack.enter_async_context(background(outbox.run(), name=f"alerts to {outbox.name}"))
        saving = background(_saving(store, content, dirty), name="alerts kept")
        await stack.enter_async_context(saving)
        try:
            yield alerts
        finally:
            await _say_farewell(outboxes)
            await store.save(content())


async def _saving(store: Store, content: Callable[[], Kept], dirty: asyncio.Event) -> None:
    while True:
        await dirty.wait()
        dirty.clear()
        await store.save(content())


async def _say_farewell(outboxes: Sequence[Outbox]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            for outbox in outboxes:
                await outbox.empty()


def _receivers(
    settings: AlertSettings, mail: MailSettings, *, session: aiohttp.ClientSession, clock: Clock
) -> list[Receiver]:
    found: list[Receiver] = [
        Webhook(one, session=session, clock=clock, timeout_s=settings.timeout_s) for one in settings.webhooks
    ]
    names = [one.name for one in settings.webhooks]
    if len(set(names)) < len(names) or "mail" in names:
        raise ConfigError("alerts.webhooks: each needs a name of its own, and none is called mail.")
    to = settings.mail or mail.to
    if settings.mail and not mail.host:
        raise ConfigError("alerts.mail names receivers, but there is no mail server: set mail.host.")
    if to and mail.host:
        found.append(Letters(Mailer(mail, clock=clock), to))
    return found
