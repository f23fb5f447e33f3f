"""Which answers are packed, for whom, and that nothing is lost by it."""

import gzip
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest

from hyperinfer.contracts.common import MetricsText
from hyperinfer.edge import cookies
from hyperinfer.edge.compression import MIN_BYTES, THREAD_BYTES, takes_gzip
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Client, Serve
from .samples import KEY, gateway_of
from .test_openai import BODY, inferred, streaming

CHAT = "/v1/chat/completions"
GZIP = {"Accept-Encoding": "gzip, deflate"}


def completion(size: int) -> bytes:
    return b'{"text":"' + b"many words " * (size // 11) + b'"}'


async def serving(serve: Serve, body: bytes) -> Client:
    return await serve(FakeGateway(processInferenceRequest=always(inferred(body))))


async def raw(client: Client, method: str, path: str, **request: Any) -> tuple[bytes, aiohttp.ClientResponse]:
    """The body as it was sent."""
    assert client._base_url is not None
    async with (
        aiohttp.ClientSession(client._base_url, auto_decompress=False) as plain,
        plain.request(method, path, **request) as reply,
    ):
        return await reply.read(), reply


@pytest.mark.parametrize("size", [MIN_BYTES + 20, 20_000, THREAD_BYTES + 1, 2_000_000])
async def test_a_long_answer_is_packed_for_who_takes_it(serve: Serve, size: int) -> None:
    client = await serving(serve, completion(size))
    body, reply = await raw(client, "POST", CHAT, json=BODY, headers=KEY | GZIP)
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.headers["vary"] == "accept-encoding"
    assert int(reply.headers["content-length"]) == len(body) < size
    assert reply.headers["x-request-id"]
    assert gzip.decompress(body) == completion(size)


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br, GZIP ; q=0.5", True),
        ("*", True),
        ("*;q=0.1", True),
        ("gzip;q=1.000", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("br, x-gzip2", False),
    ],
)
async def test_it_goes_as_it_is_to_who_does_not(serve: Serve, accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted.encode()) is takes
    client = await serving(serve, completion(5000))
    body, reply = await raw(client, "POST", CHAT, json=BODY, headers=KEY | {"Accept-Encoding": accepted})
    assert ("content-encoding" in reply.headers, body == completion(5000)) == (takes, not takes)
    assert reply.headers["vary"] == "accept-encoding"


async def test_a_short_answer_goes_as_it_is(serve: Serve) -> None:
    client = await serving(serve, completion(1000))
    body, reply = await raw(client, "POST", CHAT, json=BODY, headers=KEY | GZIP)
    assert body == completion(1000)
    assert "content-encoding" not in reply.headers
    assert "vary" not in reply.headers


async def test_what_does_not_become_shorter_goes_as_it_is(serve: Serve) -> None:
    noise = Random(1).randbytes(5000)
    client = await serving(serve, noise)
    body, reply = await raw(client, "POST", CHAT, json=BODY, headers=KEY | GZIP)
    assert (body, "content-encoding" in reply.headers) == (noise, False)


async def test_a_stream_goes_as_it_comes(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=streaming([b"{}"] * 3000)))
    body, reply = await raw(client, "POST", CHAT, json=BODY | {"stream": True}, headers=KEY | GZIP)
    assert "content-encoding" not in reply.headers
    assert body.count(b"data: {}") == 3000


async def test_an_answer_to_a_cookie_is_never_packed(serve: Serve) -> None:
    """Whoever can make a browser ask could guess what is in it by its length."""
    client = await serve(gateway_of(exportAccount=_export))
    token = "eyJ.a.token"
    cookie = {"Cookie": f"hi_session={token}", "X-CSRF-Token": cookies.csrf_token(token)}
    for credential, packed in ((cookie, False), (KEY, True), (cookie | KEY, False)):
        _, reply = await raw(client, "GET", "/api/me/export", headers=credential | GZIP)
        assert (reply.status, "content-encoding" in reply.headers) == (200, packed)


class _Export(msgspec.Struct):
    document: msgspec.Raw


_export = _Export(msgspec.Raw(b'{"account": "' + b"x" * 5000 + b'"}'))


async def test_the_length_that_head_tells_is_the_one_of_get(serve: Serve) -> None:
    client = await serve(gateway_of(getMetrics=MetricsText(text="a_metric 1\n" * 1000)))
    body, got = await raw(client, "GET", "/metrics", headers=GZIP)
    empty, told = await raw(client, "HEAD", "/metrics", headers=GZIP)
    assert empty == b""
    assert got.headers["content-encoding"] == "gzip"
    assert int(told.headers["content-length"]) == int(got.headers["content-length"]) == len(body)


async def test_files_of_the_viewer_are_packed_and_pictures_are_not(serve: Serve) -> None:
    client = await serve(FakeGateway())
    for path, packed in (
        ("/docs/swagger-ui-bundle.js", True),
        ("/openapi.json", True),
        ("/docs/favicon-32x32.png", False),
    ):
        _, reply = await raw(client, "GET", path, headers=GZIP)
        assert ("content-encoding" in reply.headers) is packed, path


@pytest.mark.parametrize("encoding", ["gzip", "deflate, gzip", "br", "x"])
async def test_a_packed_request_is_refused_by_name(serve: Serve, encoding: str) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)
    body = gzip.compress(b'{"messages": []}')
    headers = KEY | {"Content-Encoding": encoding}
    async with client.post(CHAT, data=body, headers=headers, compress=None) as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["code"], error["param"]) == (
            415,
            "unsupported_content_encoding",
            "Content-Encoding",
        )
        assert reply.headers["accept-encoding"] == "identity"
    assert gateway.calls == []


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
async def test_a_request_that_says_it_is_not_packed_is_served(serve: Serve, encoding: str) -> None:
    client = await serve(FakeGateway(processInferenceRequest=always(inferred(b"{}"))))
    headers = KEY | {"Content-Encoding": encoding}
    async with client.post(CHAT, json=BODY, headers=headers) as reply:
        assert reply.status == 200
