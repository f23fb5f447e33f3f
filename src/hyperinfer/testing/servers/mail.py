"""A real mail server (aiosmtpd) on loopback, in the test's own event loop, that keeps what it is given."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as LINES
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"
TIMEOUT_S = 10.0


class MailServer:
    """What came in is in `mails`, for whom in `recipients`. `answers` are replies to give instead of taking a mail, in turn."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: list[str] = []
        self.refused: set[str] = set()
        self.was_secure: list[bool] = []
        self._came = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        *,
        certificate: tuple[Path, Path] | None = None,
        at_once: bool = False,
        login: tuple[str, str] | None = None,
    ) -> "AsyncIterator[MailServer]":
        """A server for the length of the block: with STARTTLS if it has a certificate, or TLS `at_once`; demanding a `login`."""
        server = cls()
        loop = asyncio.get_running_loop()
        context = _context(certificate)

        def connected() -> SMTP:
            with warnings.catch_warnings(action="ignore"):  # it does not know of TLS from the first byte
                return SMTP(
                    server,
                    loop=loop,
                    hostname="mail.test",
                    tls_context=None if at_once else context,
                    require_starttls=context is not None and not at_once,
                    authenticator=None if login is None else _checking(login),
                    auth_required=login is not None,
                    auth_require_tls=context is not None and not at_once,
                )

        listening = await loop.create_server(connected, HOST, 0, ssl=context if at_once else None)
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listening.close()
            await listening.wait_closed()

    async def mail(self, at: int = 0) -> EmailMessage:
        """The mail that came as number so and so, once it has come."""
        await self.until(lambda: len(self.mails) > at)
        return self.mails[at]

    async def until(self, holds: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until what has come makes this hold."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(holds)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        if address in self.refused:
            return f"550 5.1.1 <{address}>: unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - see above
        """Keep a mail, or answer as ordered."""
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=LINES)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        assert server.transport
        self.was_secure.append(bool(session.ssl or server.transport.get_extra_info("ssl_object")))
        async with self._came:
            self._came.notify_all()
        return "250 OK"


def _context(certificate: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def _checking(login: tuple[str, str]) -> Callable[[SMTP, Session, Envelope, str, Any], AuthResult]:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login.decode(), given.password.decode()) == login, handled=False)

    return check
