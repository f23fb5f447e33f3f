"""A test of those who are told: each by itself, within a time, with an alert that is over at once."""

import asyncio
from typing import Any

import pytest

from hyperinfer.errors import Overloaded, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.alerts.notifying import trial
from hyperinfer.workers.metrics.alerts.notifying.mail import letter
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice
from hyperinfer.workers.metrics.alerts.notifying.trial import Trial


class Ear:
    """A receiver that takes what it is told, fails, or hangs."""

    def __init__(self, name: str, fails: Exception | None = None, *, hangs: bool = False) -> None:
        self.name = name
        self.heard: list[Notice] = []
        self.asked = asyncio.Event()
        self._fails = fails
        self._hangs = hangs

    async def tell(self, notice: Notice) -> None:
        self.asked.set()
        if self._fails:
            raise self._fails
        if self._hangs:
            await asyncio.Event().wait()
        self.heard.append(notice)


def outcomes(tried: Any) -> list[tuple[str, str]]:
    return [(one.receiver, one.error) for one in tried]


async def test_everybody_is_told_of_an_alert_and_of_its_end() -> None:
    mail, pager = Ear("mail"), Ear("pager")
    assert outcomes(await Trial([mail, pager], clock=ManualClock()).run()) == [("mail", ""), ("pager", "")]
    for ear in (mail, pager):
        begun, over = ear.heard
        [first], [last] = begun.firing, over.resolved
        assert (first.id, first.rule, first.severity) == (last.id, "test", "info")
        assert begun.id != over.id
        assert last.resolved_at
    text = letter(mail.heard[0], ("a@b.test",))
    assert text.subject == "[hyperinfer] info: This is a test of hyperinfer's alerts."
    assert "not well" not in text.html


async def test_who_does_not_take_it_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "WITHIN_S", 0.01)
    ears = [Ear("mail", Unavailable("It is away.")), Ear("slow", hangs=True), Ear("pager")]
    assert outcomes(await Trial(ears, clock=ManualClock()).run()) == [
        ("mail", "It is away."),
        ("slow", "It did not answer within 0.01 s."),
        ("pager", ""),
    ]


async def test_one_test_at_a_time() -> None:
    slow = Ear("slow", hangs=True)
    test = Trial([slow], clock=ManualClock())
    running = asyncio.create_task(test.run())
    await slow.asked.wait()
    with pytest.raises(Overloaded, match="under way"):
        await test.run()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await Trial([], clock=ManualClock()).run() == ()
