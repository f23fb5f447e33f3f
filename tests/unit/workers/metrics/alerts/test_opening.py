"""Alerts put together: from a collection to a webhook and a mail server, and over a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from tests.unit.workers.metrics.alerts.samples import Swarm

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.mail import MailSettings
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.servers.mail import MailServer
from hyperinfer.testing.servers.webhook import WebhookReceiver
from hyperinfer.workers.metrics.alerts import opening
from hyperinfer.workers.metrics.alerts.config import AlertSettings, RuleSettings, WebhookSettings
from hyperinfer.workers.metrics.alerts.evaluating import Alerts
from hyperinfer.workers.metrics.alerts.opening import alerting

STUCK = "ai_platform_usage_stuck"


class House:
    """Alerts that are opened again and again on the same folder."""

    def __init__(self, folder: Path, *webhooks: WebhookSettings, mail: MailSettings | None = None) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.settings = AlertSettings(webhooks=webhooks, group_s=0.0, rules={"usage_stuck": RuleSettings(resolve_s=0)})
        self.mail = mail or MailSettings()
        self._folder = folder

    def open(self) -> AbstractAsyncContextManager[Alerts]:
        self.registry = CollectorRegistry()
        return alerting(
            self.settings,
            self.mail,
            folder=self._folder,
            interval_s=5,
            remember_s=900,
            clock=self.clock,
            registry=self.registry,
        )

    def look(self, alerts: Alerts, stuck: float) -> None:
        self.clock.advance(5)
        view = Swarm(self.clock.now())
        view.shown = {"gateway": {STUCK: stuck}}
        alerts.look(view)

    def counted(self, receiver: str, outcome: str) -> float | None:
        labels = {"receiver": receiver, "outcome": outcome}
        return self.registry.get_sample_value("ai_platform_alert_notices_total", labels)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.running() as receiver:
        yield receiver


def hook(receiver: WebhookReceiver, name: str = "pager") -> WebhookSettings:
    return WebhookSettings(url=receiver.url, name=name)


async def test_everybody_is_told(tmp_path: Path, receiver: WebhookReceiver) -> None:
    async with MailServer.running() as server:
        mail = MailSettings(
            host="127.0.0.1", port=server.port, security="none", sender="swarm@a.test", to=("me@a.test",)
        )
        house = House(tmp_path, hook(receiver), mail=mail)
        async with house.open() as alerts:
            house.look(alerts, 1)
            await receiver.alert("HyperinferUsageStuck", "firing")
            assert "critical" in (await server.mail(0))["Subject"]
            house.look(alerts, 0)
            await receiver.alert("HyperinferUsageStuck", "resolved")
            assert "resolved" in (await server.mail(1))["Subject"]
    assert (house.counted("pager", "sent"), house.counted("mail", "sent")) == (2, 2)


async def test_mail_goes_to_whom_alerts_name(tmp_path: Path) -> None:
    async with MailServer.running() as server:
        mail = MailSettings(
            host="127.0.0.1", port=server.port, security="none", sender="swarm@a.test", to=("me@a.test",)
        )
        house = House(tmp_path, mail=mail)
        house.settings = replace(house.settings, mail=("duty@a.test",))
        async with house.open() as alerts:
            house.look(alerts, 1)
            await server.mail()
    assert server.recipients == [["duty@a.test"]]


async def test_a_receiver_that_hangs_holds_up_nobody(tmp_path: Path, receiver: WebhookReceiver) -> None:
    async with WebhookReceiver.running() as slow:
        slow.answering.clear()
        house = House(tmp_path, hook(slow, "slow"), hook(receiver))
        async with house.open() as alerts:
            for number in range(10):
                house.look(alerts, number % 2)
                await asyncio.sleep(0)
            await receiver.came(4)
            slow.answering.set()


async def test_what_was_not_taken_is_told_after_a_restart(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FAREWELL_S", 0.1)
    receiver.answers = [503]
    house = House(tmp_path, hook(receiver))
    async with house.open() as alerts:
        house.look(alerts, 1)
        await receiver.post()
    async with house.open() as alerts:
        await receiver.came(2)
        house.look(alerts, 1)
    first, second = receiver.posts
    assert first.told == second.told


async def test_a_restart_tells_nothing_twice(tmp_path: Path, receiver: WebhookReceiver) -> None:
    house = House(tmp_path, hook(receiver))
    async with house.open() as alerts:
        house.look(alerts, 1)
        await receiver.post()
    async with house.open() as alerts:
        house.look(alerts, 1)
        [alert] = alerts.open()
        house.look(alerts, 0)
        over = await receiver.alert("HyperinferUsageStuck", "resolved")
    assert over["fingerprint"] == alert.id
    assert [post.told["status"] for post in receiver.posts] == ["firing", "resolved"]


async def test_receivers_are_tested_by_the_settings(tmp_path: Path, receiver: WebhookReceiver) -> None:
    receiver.answers = [200, 500]
    async with House(tmp_path, hook(receiver)).open() as alerts:
        [tried] = await alerts.trial.run()
    assert (tried.receiver, tried.error) == ("pager", "It answers with status 500.")
    assert [post.told["alerts"][0]["labels"]["alertname"] for post in receiver.posts] == ["HyperinferTest"] * 2
    assert [post.told["status"] for post in receiver.posts] == ["firing", "resolved"]


async def test_without_receivers_alerts_are_there_all_the_same(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.open() as alerts:
        house.look(alerts, 1)
        assert len(alerts.open()) == 1
        shown = generate_latest(house.registry).decode()
    assert 'ai_platform_alerts{severity="critical",state="firing"} 1.0' in shown
    assert 'ai_platform_alerts{severity="warning",state="pending"} 0.0' in shown


@pytest.mark.parametrize(
    "wrong",
    [
        AlertSettings(mail=("me@a.test",)),
        AlertSettings(webhooks=(WebhookSettings(url="nowhere"),)),
        AlertSettings(webhooks=(WebhookSettings(url="http://a.test"), WebhookSettings(url="http://b.test"))),
        AlertSettings(webhooks=(WebhookSettings(url="http://a.test", name="mail"),)),
        AlertSettings(rules={"nothing": RuleSettings()}),
    ],
)
async def test_settings_that_cannot_be_meant(tmp_path: Path, wrong: AlertSettings) -> None:
    house = House(tmp_path)
    house.settings = wrong
    with pytest.raises(ConfigError):
        async with house.open():
            pass
