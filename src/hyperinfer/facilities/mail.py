"""The mail facility: one e-mail handed to a mail server (SMTP, RFC 5321), within a deadline and never in the clear by default."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as LINES
from email.utils import format_datetime, make_msgid, parseaddr
from ipaddress import ip_address
from typing import Literal

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from hyperinfer.errors import ConfigError, MailRefused, TooLarge, Unavailable
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.secret import Secret

MAX_ATTACHED_BYTES = 10 * 1024 * 1024
"""What mail servers commonly take, with a third more for its encoding."""
MAX_SUBJECT = 200
GOODBYE_S = 1.0
PERMANENT = 500
"""From this reply code on, to try again is in vain (RFC 5321, 4.2.1)."""

Attachment = tuple[str, str, bytes]
"""Its file's name, its media type, and what is in it."""


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mail server that e-mails are given to, and who sends and gets them. Without a `host` there is no mail.

    `security` is `starttls` (port 587), `tls` from the first byte (465), or `none`, for a server that is trusted on its
    network; a password is then sent to this machine alone. `sender` and `to` are addresses, with a name before them if you like.
    `authority` is a PEM file of who certifies the server, where that is none that this machine knows. `timeout_s` is for all of an e-mail.
    """

    host: str = ""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Secret = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    authority: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail: as text, and the same as HTML where that is given. `to` left out is whom the settings name."""

    subject: str
    text: str
    html: str = ""
    to: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


class Mailer:
    """Gives e-mails to the server, each over a connection of its own.

    Raises `ConfigError` for settings that cannot be meant, naming the one.
    """

    def __init__(self, settings: MailSettings, *, clock: Clock | None = None) -> None:
        _check(settings)
        self._settings = settings
        self._clock = clock or SystemClock()
        self._context = _context(settings)

    async def send(self, mail: Mail) -> None:
        """Hand over an e-mail; it is the server's when this returns.

        Raises `MailRefused` if the server will not have it, or not for every recipient (the others have got it then);
        `Unavailable` if it cannot be reached or asks to try later; `TooLarge` for attachments beyond `MAX_ATTACHED_BYTES`.
        """
        settings = self._settings
        if not settings.host:
            raise MailRefused("There is no mail server to give an e-mail to: set mail.host.")
        message = compose(mail, settings, at=self._clock.now())
        server = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username or None,
            password=settings.password or None,
            local_hostname=_own_name(),
            timeout=settings.timeout_s,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._context,
        )
        try:
            with _said_plainly(settings):
                async with asyncio.timeout(settings.timeout_s):
                    await server.connect()
                    refused, _ = await server.send_message(message)
            with suppress(SMTPException, OSError):  # the e-mail is handed over, whether or not it says good-bye
                await server.quit(timeout=GOODBYE_S)
        finally:
            server.close()
        if refused:
            raise MailRefused(
                f"The mail server refused {len(refused)} of the recipients; the others have got the e-mail.",
                refused=len(refused),
            )


def compose(mail: Mail, settings: MailSettings, *, at: datetime) -> EmailMessage:
    """The message (RFC 5322) of an e-mail. Raises `MailRefused` if it is for nobody, `TooLarge` if too much is attached."""
    recipients = mail.to or settings.to
    if not recipients:
        raise MailRefused("The e-mail is for nobody: set mail.to.")
    if sum(len(content) for _, _, content in mail.attachments) > MAX_ATTACHED_BYTES:
        raise TooLarge(f"What is attached is larger than {MAX_ATTACHED_BYTES} bytes.", limit_bytes=MAX_ATTACHED_BYTES)
    message = EmailMessage(policy=LINES)
    message["Subject"] = " ".join("".join(_shown(char) for char in mail.subject).split())[:MAX_SUBJECT]
    message["From"] = settings.sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = make_msgid(domain=parseaddr(settings.sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # so that no absent reader's machine answers (RFC 3834)
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
    for name, media_type, content in mail.attachments:
        kind, _, subtype = media_type.partition("/")
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=name)
    return message


def _shown(char: str) -> str:
    """What can be seen, and a blank for the rest: terminals act on it, and some servers take no e-mail that has it."""
    return char if char.isprintable() else " "


def _check(settings: MailSettings) -> None:
    if not settings.host:
        return
    if not _is_address(settings.sender):
        raise ConfigError("mail.sender has to be one e-mail address: mail servers take nothing from nobody.")
    if not all(map(_is_address, settings.to)):
        raise ConfigError("mail.to has something in it that is not one e-mail address.")
    if settings.password and settings.security == "none" and not _is_here(settings.host):
        raise ConfigError(
            "mail.security = none would show mail.password to whoever is on the way: use starttls or tls."
        )


def _is_address(text: str) -> bool:
    """Whether it is one address, with or without a name."""
    message = EmailMessage(policy=LINES)
    try:
        message["To"] = text
        header = message["To"]
    except ValueError:
        return False
    found = header.addresses
    return not header.defects and len(found) == 1 and bool(found[0].username and found[0].domain)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(settings: MailSettings) -> ssl.SSLContext | None:
    if not settings.host or settings.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.authority or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError("mail.authority is no file with certificates in PEM that can be read.") from error


def _own_name() -> str:
    """What we call ourselves to the server. Never looked up: a machine's full name can take a resolver's whole time."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else "localhost"


@contextmanager
def _said_plainly(settings: MailSettings) -> Iterator[None]:
    """What went wrong as an error of ours. A server's own words are left out: they name addresses."""
    where = f"The mail server {settings.host}:{settings.port}"
    try:
        yield
    except SMTPAuthenticationError as error:
        raise _refusal(error.code, f"{where} does not take mail.username with mail.password") from error
    except SMTPRecipientsRefused as error:
        code = min((one.code for one in error.recipients), default=PERMANENT)
        raise _refusal(code, f"{where} takes nothing for any of the recipients") from error
    except SMTPResponseException as error:
        raise _refusal(error.code, f"{where} did not take the e-mail") from error
    except TimeoutError as error:
        raise Unavailable(f"{where} did not answer within {settings.timeout_s:g} s.") from error
    except OSError as error:
        raise _unreached(error, where) from error
    except SMTPException as error:
        raise MailRefused(
            f"{where} lacks what mail.security = {settings.security} or mail.username asks of it."
        ) from error


def _refusal(code: int, what: str) -> MailRefused | Unavailable:
    """Both say the reply's code; only of the first is it in vain to try again."""
    if code >= PERMANENT:
        return MailRefused(f"{what} ({code}).", smtp_code=code)
    return Unavailable(f"{what}, for now ({code}).", smtp_code=code)


def _unreached(error: OSError, where: str) -> MailRefused | Unavailable:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return MailRefused(f"{where} shows a certificate that is not to be trusted: {cause.verify_message}.")
    if isinstance(cause, ssl.SSLError):
        return MailRefused(f"{where} does not speak TLS on that port: set mail.port, or mail.security to starttls.")
    if isinstance(error, SMTPServerDisconnected):
        return Unavailable(f"{where} hung up.")
    return Unavailable(f"{where} cannot be reached: {cause.strerror or 'it hung up'}.")
