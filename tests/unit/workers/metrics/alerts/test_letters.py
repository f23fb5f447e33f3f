"""Alerts as e-mails: what stands in them, and what cannot be smuggled in."""

from html.parser import HTMLParser

from msgspec.structs import replace
from tests.unit.workers.metrics.alerts.samples import LOST, QUEUE, notice, over

from hyperinfer.workers.metrics.alerts.notifying.mail import MAX_ALERTS, letter

TO = ("me@a.test",)
VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Reads HTML strictly: every tag is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, _ in attrs:
            self.attributes.setdefault(name, set()).add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_one_alert() -> None:
    mail = letter(notice(LOST), TO)
    assert mail.subject == "[hyperinfer] critical: The worker gpu (inference) does not answer."
    assert mail.to == TO
    assert mail.text == (
        "CRITICAL  The worker gpu (inference) does not answer.\n"
        "What helps: Look at its machine.\n"
        "since 2026-11-21 18:00 UTC   worker_lost  worker=gpu  wtype=inference\n"
        "\n"
        "`hyperinfer alerts` shows what is open now.\n"
    )
    for words in ("Something is not well.", LOST.summary, LOST.do, "since 2026-11-21 18:00 UTC", "worker=gpu"):
        assert words in mail.html


def test_several_alerts() -> None:
    mail = letter(notice(LOST, QUEUE, resolved=(over(QUEUE),)), TO)
    assert mail.subject == "[hyperinfer] 2 firing, 1 resolved: The worker gpu (inference) does not answer."
    assert "2 things are not well." in mail.html
    assert "RESOLVED  150 requests wait at gpu.\nsince 2026-11-21 18:00, until 2026-11-21 18:05 UTC" in mail.text


def test_what_is_over_needs_no_help() -> None:
    mail = letter(notice(resolved=(over(LOST),)), TO)
    assert mail.subject == "[hyperinfer] resolved: The worker gpu (inference) does not answer."
    assert "It is well again." in mail.html
    assert LOST.do not in mail.text + mail.html


def test_nothing_is_smuggled_in() -> None:
    nasty = "<script>alert(1)</script><img src=x onerror=y>\"'&\r\nBcc: you@a.test"
    mail = letter(notice(replace(LOST, summary=nasty, do=nasty, labels={"model": nasty})), TO)
    parsed = Balanced(mail.html)
    assert not parsed.tags & {"script", "img", "link", "iframe", "a"}
    assert not {name for name in parsed.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "&lt;script&gt;" in mail.html


def test_very_many_are_cut_and_counted() -> None:
    mail = letter(notice(*[LOST] * (MAX_ALERTS + 1000)), TO)
    assert "… and 1000 more." in mail.text
    assert "… and 1000 more." in mail.html
    assert len(mail.html) < 100_000
    Balanced(mail.html)
