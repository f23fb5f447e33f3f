"""A swarm of processes whose metrics worker looks each second, and who is told of its alerts: a webhook and a mail box."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp

from hyperinfer.testing.servers.mail import HOST, MailServer
from hyperinfer.testing.servers.webhook import WebhookReceiver
from hyperinfer.workers.metrics.alerts.names import alert_name
from hyperinfer.workers.metrics.alerts.rules import ALL

from .processes import Machine

TOLD_S = 60.0
"""Longest until an alert is told: generous, for a machine that is busy."""
WINDOW_S = 4.0
SOON = {"hold_s": 0.5, "resolve_s": 0.5}
"""Bad, or well, at two collections."""

Case = tuple[str, frozenset[tuple[str, str]]]
"""A rule, and what an alert of it is about."""


def rules(**changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings under which these rules fire and are resolved at once, and none of the others is there."""
    assert changes.keys() <= {rule.name for rule in ALL}
    windows = {rule.name: {"window_s": WINDOW_S, "hold_s": 0} for rule in ALL if rule.window_s}
    return {
        rule.name: {**SOON, **windows.get(rule.name, {}), **changes[rule.name]}
        if rule.name in changes
        else {"on": False}
        for rule in ALL
    }


def case(rule: str, **labels: str) -> Case:
    """What is told of, to compare."""
    return rule, frozenset(labels.items())


@dataclass
class Told:
    """Who is told of alerts."""

    webhook: WebhookReceiver
    mail: MailServer

    @classmethod
    @asynccontextmanager
    async def running(cls) -> "AsyncIterator[Told]":
        """Both, for the length of the block."""
        async with WebhookReceiver.running() as webhook, MailServer.running() as mail:
            yield cls(webhook, mail)

    def settings(self, rules: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        """Those of a metrics worker that tells them."""
        return {
            "collect": {"interval_s": 1.0, "timeout_s": 1.0},
            "alerts": {"rules": rules, "group_s": 0.0, "webhooks": [{"url": self.webhook.url}]},
            "mail": {
                "host": HOST,
                "port": self.mail.port,
                "security": "none",
                "sender": "swarm@example.org",
                "to": ["duty@example.org"],
            },
            **more,
        }

    async def fires(self, *cases: Case) -> None:
        """Wait until both know that these fire."""
        await self._until({one: ["firing"] for one in cases})

    async def is_over(self, *cases: Case) -> None:
        """Wait until both know that these are over, of which both heard once that they fire."""
        await self._until({one: ["firing", "resolved"] for one in cases})
        self.nothing_twice()

    async def _until(self, wanted: Mapping[Case, list[str]]) -> None:
        def all_told(told: Mapping[Case, list[str]]) -> bool:
            return all(told.get(one, [])[-len(states) :] == states for one, states in wanted.items())

        try:
            await self.webhook.until(lambda: all_told(self.posted), TOLD_S)
            await self.mail.until(lambda: all_told(self.written), TOLD_S)
        except TimeoutError:
            raise AssertionError(f"waited for {wanted}\nposted {self.posted}\nwritten {self.written}") from None

    def nothing_twice(self) -> None:
        """No beginning and no end was told twice at the webhook, and the mail box tells of the same."""
        told = Counter((alert["fingerprint"], alert["status"]) for alert in self._alerts())
        assert set(told.values()) <= {1}, told
        for one, states in self.written.items():
            assert states == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2), (one, states)

    @property
    def posted(self) -> dict[Case, list[str]]:
        """What the webhook was told of each, in order."""
        rules = {alert_name(rule.name): rule.name for rule in ALL}
        told: dict[Case, list[str]] = {}
        for alert in self._alerts():
            labels = dict(alert["labels"])
            rule = rules[labels.pop("alertname")]
            labels.pop("severity")
            told.setdefault(case(rule, **labels), []).append(alert["status"])
        return told

    @property
    def written(self) -> dict[Case, list[str]]:
        """What the mail box was told of each, in order."""
        told: dict[Case, list[str]] = {}
        for mail in self.mail.mails:
            for one, state in _told_by(mail):
                told.setdefault(one, []).append(state)
        return told

    def _alerts(self) -> Iterable[dict[str, Any]]:
        return (alert for post in self.webhook.posts for alert in post.alerts)


def _told_by(mail: EmailMessage) -> Iterable[tuple[Case, str]]:
    """The alerts of a mail: a paragraph each, with the state before its first line, rule and labels in its last one."""
    part = mail.get_body(("plain",))
    assert isinstance(part, EmailMessage)
    for paragraph in part.get_content().replace("\r\n", "\n").split("\n\n")[:-1]:
        first, *_, last = paragraph.split("\n")
        rule, *labels = last.partition(" UTC   ")[2].split("  ")
        state = "resolved" if first.startswith("RESOLVED  ") else "firing"
        yield case(rule, **dict(label.split("=", 1) for label in labels)), state


def configure(home: Path, **settings: Mapping[str, Any]) -> None:
    """Write the settings of workers, by type, where they look for them."""
    folder = home / "config"
    folder.mkdir(exist_ok=True)
    for wtype, tree in settings.items():
        (folder / f"{wtype}.json").write_text(json.dumps(tree))


@dataclass
class Load:
    """Asks a model again and again."""

    machine: Machine
    session: aiohttp.ClientSession

    async def ask(self, model: str, *, key: str = "", text: str = "hello there") -> int:
        """One request; gives its status."""
        asked = {"model": model, "messages": [{"role": "user", "content": text}]}
        headers = {"Authorization": f"Bearer {key or self.machine.key}"}
        ssl = self.machine.context or True
        url = f"{self.machine.url}/v1/chat/completions"
        async with self.session.post(url, json=asked, headers=headers, ssl=ssl) as reply:
            await reply.read()
            return reply.status

    @asynccontextmanager
    async def asking(
        self, model: str, *, at_once: int, key: str = "", text: str = "hello there"
    ) -> AsyncIterator[None]:
        """So many requests at once, for the length of the block."""

        async def one() -> None:
            while True:
                await self.ask(model, key=key, text=text)

        tasks = [asyncio.create_task(one()) for _ in range(at_once)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
