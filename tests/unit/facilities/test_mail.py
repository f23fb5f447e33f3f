"""Mail: what is sent, to a real server with and without TLS and a log-in; how each way to fail is said."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hyperinfer.errors import ConfigError, HyperinferError, MailRefused, TooLarge, Unavailable
from hyperinfer.facilities.mail import MAX_ATTACHED_BYTES, Mail, Mailer, MailSettings, compose
from hyperinfer.testing.certificates import Authority
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.servers.mail import MailServer

AT = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
MAIL = Mail("A worker is lost", "It does not answer.\n", html="<p>It does not answer.</p>")
LOGIN = ("operator", "open sesame ünïcode")


def settings(port: int = 25, **given: Any) -> MailSettings:
    base = MailSettings(host="127.0.0.1", port=port, security="none", sender="Swarm <swarm@a.test>", to=("me@a.test",))
    return msgspec.structs.replace(base, **given)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.certify("127.0.0.1")


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    text: str = found.get_content()
    return text.replace("\r\n", "\n")


async def test_a_mail_arrives_whole() -> None:
    attached = (("report.csv", "text/csv", b"day,requests\n"), ("a.bin", "application/octet-stream", bytes(range(256))))
    mail = Mail("Ä\nB", ".dot\nü\n", html="<b>ü</b>" * 200, attachments=attached)
    async with MailServer.running() as server:
        await Mailer(settings(server.port), clock=ManualClock(AT)).send(mail)
        message = await server.mail()
    assert message["Subject"] == "Ä B"
    assert message["From"] == "Swarm <swarm@a.test>"
    assert message["To"] == "me@a.test"
    assert message["Date"].datetime == AT
    assert message["Message-ID"].endswith("@a.test>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert part(message, "plain") == ".dot\nü\n"
    assert part(message, "html").strip() == "<b>ü</b>" * 200
    assert [(one.get_filename(), one.get_payload(decode=True)) for one in message.iter_attachments()] == [
        (name, content) for name, _, content in attached
    ]
    assert server.recipients == [["me@a.test"]]


async def test_named_recipients_get_it_instead() -> None:
    async with MailServer.running() as server:
        await Mailer(settings(server.port)).send(Mail("A", "B", to=("One <one@a.test>", "two@a.test")))
    assert server.recipients == [["one@a.test", "two@a.test"]]


@pytest.mark.parametrize(("security", "at_once"), [("starttls", False), ("tls", True)])
async def test_the_log_in_and_the_mail_are_encrypted(
    authority: Authority, certificate: tuple[Path, Path], security: Any, at_once: bool
) -> None:
    async with MailServer.running(certificate=certificate, at_once=at_once, login=LOGIN) as server:
        told = settings(
            server.port, security=security, username=LOGIN[0], password=LOGIN[1], authority=str(authority.file)
        )
        await Mailer(told).send(MAIL)
    assert server.was_secure == [True]


async def refusal(server: MailServer, mail: Mail = MAIL, **given: Any) -> HyperinferError:
    with pytest.raises(HyperinferError) as caught:
        await Mailer(settings(server.port, **given)).send(mail)
    assert "a.test" not in caught.value.message
    assert "sesame" not in caught.value.message
    return caught.value


async def test_a_wrong_password_is_said_without_it(authority: Authority, certificate: tuple[Path, Path]) -> None:
    async with MailServer.running(certificate=certificate, login=LOGIN) as server:
        error = await refusal(
            server, security="starttls", username="operator", password="sesame", authority=str(authority.file)
        )
    assert isinstance(error, MailRefused)
    assert "mail.password (535)" in error.message


async def test_a_server_nobody_vouches_for_is_not_trusted(certificate: tuple[Path, Path]) -> None:
    async with MailServer.running(certificate=certificate) as server:
        error = await refusal(server, security="starttls")
    assert isinstance(error, MailRefused)
    assert "not to be trusted" in error.message
    assert server.mails == []


async def test_without_starttls_nothing_is_sent(authority: Authority) -> None:
    async with MailServer.running() as server:
        error = await refusal(server, security="starttls", authority=str(authority.file))
    assert isinstance(error, MailRefused)
    assert "lacks" in error.message
    assert server.mails == []


async def test_tls_to_a_port_without_it(authority: Authority) -> None:
    async with MailServer.running() as server:
        error = await refusal(server, security="tls", authority=str(authority.file))
    assert isinstance(error, MailRefused)
    assert "does not speak TLS" in error.message


@pytest.mark.parametrize(("answer", "kind"), [("451 later", Unavailable), ("554 5.7.1 spam a.test", MailRefused)])
async def test_what_may_be_tried_again(answer: str, kind: type[HyperinferError]) -> None:
    async with MailServer.running() as server:
        server.answers = [answer]
        error = await refusal(server)
    assert type(error) is kind
    assert error.details == {"smtp_code": int(answer[:3])}


async def test_a_recipient_who_is_unknown() -> None:
    async with MailServer.running() as server:
        server.refused = {"gone@a.test"}
        none = await refusal(server, Mail("A", "B", to=("gone@a.test",)))
        some = await refusal(server, Mail("A", "B", to=("gone@a.test", "me@a.test")))
    assert isinstance(none, MailRefused)
    assert "any of the recipients (550)" in none.message
    assert some.details == {"refused": 1}
    assert server.recipients == [["me@a.test"]]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaking(handler: Handler) -> AsyncIterator[int]:
    """A server of the test's own; it has hung up on everybody at the end."""
    over = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()
        over.set()

    async with asyncio.timeout(5), await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
        await over.wait()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


async def take_and_stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 hello\r\n")
    while not (await reader.readline()).startswith(b"DATA"):
        writer.write(b"250 fine\r\n")
    writer.write(b"354 go\r\n")
    await reader.read()


@pytest.mark.parametrize(
    ("handler", "said"),
    [(hang, r"did not answer within 0\.3 s"), (take_and_stall, r"did not answer within 0\.3 s"), (hang_up, "hung up")],
)
async def test_a_server_that_breaks_off(handler: Handler, said: str) -> None:
    async with speaking(handler) as port:
        with pytest.raises(Unavailable, match=said):
            await Mailer(settings(port, timeout_s=0.3)).send(MAIL)


async def test_a_server_that_never_says_good_bye() -> None:
    """The mail is handed over by then: to say that it was not would send it twice."""

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            if not line.startswith(b"QUIT"):
                writer.write(b"250 fine\r\n")

    async with speaking(stay) as port:
        await Mailer(settings(port)).send(MAIL)


async def test_no_server_there() -> None:
    async with MailServer.running() as server:
        pass
    with pytest.raises(Unavailable, match="cannot be reached"):
        await Mailer(settings(server.port)).send(MAIL)


async def test_no_server_set() -> None:
    with pytest.raises(MailRefused, match=r"mail\.host"):
        await Mailer(MailSettings()).send(MAIL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": ""},
        {"sender": "nobody"},
        {"sender": "a@a.test, b@a.test"},
        {"sender": "a@a.test\nBcc: b@a.test"},
        {"to": ("me@a.test", "")},
        {"to": ("@a.test",)},
        {"host": "mail.a.test", "password": "sesame"},
        {"security": "tls", "authority": "/nowhere.pem"},
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"mail\.") as caught:
        Mailer(settings(**wrong))
    assert "sesame" not in caught.value.message


def test_a_mail_for_nobody() -> None:
    with pytest.raises(MailRefused, match="nobody"):
        compose(MAIL, settings(to=()), at=AT)


def test_too_much_attached() -> None:
    mail = Mail("A", "B", attachments=(("a", "text/csv", bytes(MAX_ATTACHED_BYTES + 1)),))
    with pytest.raises(TooLarge):
        compose(mail, settings(), at=AT)


def test_a_subject_is_one_line_of_what_can_be_seen() -> None:
    mail = Mail("a\r\nBcc: x@example.com\x00\x1b[31m\u2028b\u202ec", "text")
    message = compose(mail, settings(), at=AT)
    assert message["subject"] == "a Bcc: x@example.com [31m b c"
    assert message["bcc"] is None
