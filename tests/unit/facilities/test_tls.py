"""HTTPS by files: which are taken, which are refused and how, and what happens when they are renewed."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hyperinfer.errors import StartError
from hyperinfer.facilities.http import Listen, serving, tls
from hyperinfer.facilities.http.tls import Certificate
from hyperinfer.testing.certificates import Authority, pem

APPLICATION_DATA = 23
"""What RFC 5246, 6.2.1, calls a record that is none of the handshake's."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def app(scope: Any, receive: Any, send: Any) -> None:
    said = scope["scheme"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


def trusting(authority: Authority, **changes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


class Seen:
    """What a client saw of one connection."""

    def __init__(self, answer: bytes, connection: ssl.SSLObject) -> None:
        self.answer = answer
        self.version = connection.version()
        self.alpn = connection.selected_alpn_protocol()
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        self.serial = x509.load_der_x509_certificate(certificate).serial_number


async def ask(url: str, context: ssl.SSLContext, name: str | None = None) -> Seen:
    port = int(url.rpartition(":")[2])
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name or "127.0.0.1"
        )
        seen = writer.get_extra_info("ssl_object")
        writer.write(GET)
        answer = await reader.read()
        writer.close()
    return Seen(answer, seen)


async def test_an_app_is_served_over_https(authority: Authority) -> None:
    certificate = Certificate(*authority.certify("127.0.0.1"))
    async with serving(app, Listen(port=0, certificate=certificate)) as url:
        assert url.startswith("https://127.0.0.1:")
        context = trusting(authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        seen = await ask(url, context)
    assert seen.answer.endswith(b"\r\n\r\nhttps")
    assert (seen.version, seen.alpn) == ("TLSv1.3", "http/1.1")


async def test_its_url_has_a_name_that_the_certificate_has(authority: Authority) -> None:
    certificate = Certificate(*authority.certify("*.example", "AI.example", "10.0.0.1"))
    assert certificate.names == ("ai.example", "10.0.0.1")
    async with serving(app, Listen(port=0, certificate=certificate)) as url:
        assert url.startswith("https://ai.example:")
        assert (await ask(url, trusting(authority), "ai.example")).answer.endswith(b"https")


async def test_a_certificate_of_nobody_is_served_at_the_address(authority: Authority) -> None:
    async with serving(app, Listen(port=0, certificate=Certificate(*authority.certify()))) as url:
        assert url.startswith("https://127.0.0.1:")


async def test_what_is_older_than_tls_1_2_is_refused(authority: Authority) -> None:
    certificate = Certificate(*authority.certify("127.0.0.1"))
    async with serving(app, Listen(port=0, certificate=certificate)) as url:
        seen = await ask(url, trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2))
        assert seen.version == "TLSv1.2"
        old = trusting(authority, minimum_version=ssl.TLSVersion.MINIMUM_SUPPORTED)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(url, old)


async def test_a_client_that_speaks_no_tls_harms_nobody(authority: Authority) -> None:
    certificate = Certificate(*authority.certify("127.0.0.1"))
    async with serving(app, Listen(port=0, certificate=certificate, drain_s=1.0)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(GET)
        async with asyncio.timeout(10):
            assert b"200" not in await reader.read()
        writer.close()
        assert (await ask(url, trusting(authority))).answer.endswith(b"https")


async def test_head_and_body_of_an_answer_are_one_record(authority: Authority) -> None:
    certificate = Certificate(*authority.certify("127.0.0.1"))
    context = trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2)  # later ones hide what a record is
    async with serving(app, Listen(port=0, certificate=certificate)) as url, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        client.write(GET)
        writer.write(outgoing.read())
        records = await reader.read()
        writer.close()
    kinds = []
    while records:
        kinds.append(records[0])
        records = records[5 + int.from_bytes(records[3:5], "big") :]
    assert kinds.count(APPLICATION_DATA) == 1


@pytest.mark.parametrize("name", [None, "localhost"])
async def test_renewed_files_are_served_to_those_who_come_then(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(tls, "LOOK_EVERY_S", 0.0)
    context = trusting(authority)
    files = authority.certify("127.0.0.1", "localhost")
    async with serving(app, Listen(port=0, certificate=Certificate(*files))) as url:
        first = await ask(url, context, name)
        assert (await ask(url, context, name)).serial == first.serial
        authority.certify("127.0.0.1", "localhost")
        renewed = await ask(url, context, name)
        assert renewed.serial != first.serial

        with structlog.testing.capture_logs() as logs:  # half of a renewal: a key without its certificate
            files[1].write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
            assert (await ask(url, context, name)).serial == renewed.serial
            files[0].unlink()
            assert (await ask(url, context, name)).serial == renewed.serial
        assert [one["event"] for one in logs] == ["tls_files_not_taken"] * 2

        authority.certify("127.0.0.1", "localhost")
        assert (await ask(url, context, name)).serial != renewed.serial


async def test_files_are_looked_at_now_and_then_only(authority: Authority) -> None:
    context = trusting(authority)
    async with serving(app, Listen(port=0, certificate=Certificate(*authority.certify("127.0.0.1")))) as url:
        first = await ask(url, context)
        authority.certify("127.0.0.1")
        assert (await ask(url, context)).serial == first.serial


def missing(certificate: Path, key: Path) -> None:
    key.unlink()


def swapped(certificate: Path, key: Path) -> None:
    content = certificate.read_bytes()
    certificate.write_bytes(key.read_bytes())
    key.write_bytes(content)


def another_key(certificate: Path, key: Path) -> None:
    key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


def encrypted(certificate: Path, key: Path) -> None:
    key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), password=b"x"))


def open_to_all(certificate: Path, key: Path) -> None:
    key.chmod(0o644)


def empty(certificate: Path, key: Path) -> None:
    key.write_bytes(b"")


def folder(certificate: Path, key: Path) -> None:
    certificate.unlink()
    certificate.mkdir()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (missing, "No such file"),
        (swapped, "server.pem holds no certificate"),
        (another_key, "is not the one of the certificate"),
        (encrypted, "is encrypted"),
        (open_to_all, "chmod o-rwx"),
        (empty, "server.key holds no key"),
        (folder, "Is a directory"),
    ],
)
def test_files_that_are_of_no_use_are_named(
    authority: Authority, spoil: Callable[[Path, Path], None], why: str
) -> None:
    files = authority.certify("127.0.0.1")
    spoil(*files)
    with pytest.raises(StartError, match=why):
        Certificate(*files)


@pytest.mark.parametrize(("days", "said"), [(-1, 1), (5, 1), (60, 0)])
def test_one_that_expires_soon_is_served_and_said(authority: Authority, days: int, said: int) -> None:
    with structlog.testing.capture_logs() as logs:
        Certificate(*authority.certify("127.0.0.1", life=timedelta(days=days)))
    assert [one["event"] for one in logs] == ["tls_certificate_expires"] * said
