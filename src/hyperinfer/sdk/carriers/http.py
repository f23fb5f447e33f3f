"""HTTP as a carrier: one gateway at an address, over connections that are kept."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from yarl import URL

from hyperinfer import __version__
from hyperinfer.errors import PeerLost, Unavailable

CERTIFICATE = "certificate"
"""Why no gateway was reached, in an error's details: what it showed is not trusted here."""
TRUST = "If it is one of your own authority, name that authority's certificate: SSL_CERT_FILE=FILE."


class HttpReply:
    """A reply of aiohttp's."""

    def __init__(self, address: str, reply: aiohttp.ClientResponse) -> None:
        self._address = address
        self._reply = reply
        self.status = reply.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in reply.headers.items()}

    async def piece(self) -> bytes:
        """What has come of the body since the last piece."""
        with _ours(self._address):
            return await self._reply.content.readany()

    def close(self) -> None:
        """Hang up, unless all of it has been read: the connection is kept then."""
        self._reply.close()


class Http:
    """A gateway at an `http://` or `https://` address. Proxies are never asked."""

    def __init__(self, address: str, *, connect_timeout_s: float) -> None:
        self._address = address
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Be ready; a connection is made by the first request."""
        self._session = aiohttp.ClientSession(
            headers={"user-agent": f"hyperinfer/{__version__}"},
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # It sends a DELETE or PUT again by itself where the connection ends without an answer, and there is no other way to
        # tell it not to (its own tests do so): whether that is safe is for `retries` to say, and who deleted would hear of a 404.
        self._session._retry_connection = False

    async def close(self) -> None:
        """End every connection."""
        if self._session is not None:
            await self._session.close()

    async def reach(self) -> None:
        """Nothing: whoever sends sees whether somebody is there."""

    async def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request and wait for the head of its reply."""
        assert self._session is not None, "a carrier is opened before it carries"
        url = URL(self._address + target, encoded=True)
        with _ours(self._address):
            reply = await self._session.request(method, url, data=body or None, headers=headers, allow_redirects=False)
        return HttpReply(self._address, reply)


@contextmanager
def _ours(address: str) -> Iterator[None]:
    """The errors of aiohttp as ours."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise Unavailable(
            f"The certificate of {address} is not trusted here: {_doubt(error)}. {TRUST}", reason=CERTIFICATE
        ) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise Unavailable(f"No gateway answers at {address}: no connection in time.") from error
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(f"No gateway answers at {address}: {_reason(error)}.") from error
    except aiohttp.ClientError as error:
        raise PeerLost(f"The connection to {address} broke off.") from error


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    text = os.strerror(number) if number and number > 0 else error.os_error.strerror or str(error.os_error)
    return text[:1].lower() + text[1:]


def _doubt(error: aiohttp.ClientConnectorCertificateError) -> str:
    """What is wrong with a certificate, as OpenSSL says it."""
    said = error.certificate_error
    return said.verify_message.rstrip(".") if isinstance(said, ssl.SSLCertVerificationError) else str(said)
