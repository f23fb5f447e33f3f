"""Who asks, as a gateway behind proxies sees it: whom to believe, and whom not."""

from typing import Any

import pytest

from hyperinfer.edge.proxies import MAX_HOPS, Proxies
from hyperinfer.errors import ConfigError
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Serve
from .samples import REPLIES
from .test_openai import BODY, inferred

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "fd00::/8", "::1")


def seen(peer: str, *headers: tuple[str, str], scheme: str = "http", trusted: tuple[str, ...] = TRUSTED) -> Any:
    """Address and scheme of a request from a peer."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": (peer, 4711), "scheme": scheme, "headers": raw}
    Proxies(trusted).look_through(scope)
    return scope["client"][0], scope["scheme"]


def forwarded(*values: str) -> list[tuple[str, str]]:
    return [("x-forwarded-for", value) for value in values]


@pytest.mark.parametrize(
    ("peer", "values", "asking"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),  # what is left of it, anybody may have written
        ("10.0.0.1", ["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.0.0.2, 10.0.0.3"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, unknown, 10.0.0.4"], "10.0.0.4"),
        ("10.0.0.1", ["203.0.113.7:5060"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::7]:5060"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8::7"], "2001:db8::7"),
        ("10.0.0.1", ['"[2001:db8::7]"'], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1", ["203.0.113.7"], "192.0.2.1"),  # no proxy of ours
        ("10.0.0.1", [", ".join(["203.0.113.7", *["10.0.0.5"] * 5000])], "10.0.0.5"),
        ("10.0.0.1", [", ".join(["203.0.113.7", *["10.0.0.5"] * (MAX_HOPS - 1)])], "203.0.113.7"),
    ],
)
def test_who_asks(peer: str, values: list[str], asking: str) -> None:
    assert seen(peer, *forwarded(*values))[0] == asking


@pytest.mark.parametrize(
    ("peer", "scheme", "said", "shown"),
    [
        ("10.0.0.1", "http", ["https"], "https"),
        ("10.0.0.1", "http", ["HTTPS"], "https"),
        ("10.0.0.1", "http", ["http, https"], "https"),
        ("10.0.0.1", "http", ["https", "http"], "http"),
        ("10.0.0.1", "ws", ["https"], "wss"),
        ("10.0.0.1", "ws", ["wss"], "wss"),
        ("10.0.0.1", "https", ["http"], "http"),
        ("10.0.0.1", "http", ["gopher"], "http"),
        ("10.0.0.1", "http", [], "http"),
        ("192.0.2.1", "http", ["https"], "http"),
    ],
)
def test_by_which_scheme(peer: str, scheme: str, said: list[str], shown: str) -> None:
    assert seen(peer, *[("x-forwarded-proto", value) for value in said], scheme=scheme)[1] == shown


def test_a_peer_without_an_address_is_no_proxy() -> None:
    scope: dict[str, Any] = {"type": "http", "client": None, "scheme": "http", "headers": []}
    Proxies(TRUSTED).look_through(scope)
    assert scope["client"] is None


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "", "10.0.0.1:80"])
def test_what_is_no_network_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.trusted_proxies"):
        Proxies((text,))


@pytest.mark.parametrize(("trusted", "asking"), [((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.7")])
async def test_the_gateway_is_told_who_asks(serve: Serve, trusted: tuple[str, ...], asking: str) -> None:
    gateway = FakeGateway(processInferenceRequest=always(inferred(b"{}")))
    client = await serve(gateway, trusted_proxies=trusted)
    headers = {"X-API-Key": "k", "X-Forwarded-For": "203.0.113.7"}
    async with client.post("/v1/chat/completions", json=BODY, headers=headers):
        pass
    assert [meta.remote for _, _, meta in gateway.calls] == [asking]


@pytest.mark.parametrize(("trusted", "secure"), [((), False), (("127.0.0.1",), True)])
async def test_a_cookie_is_kept_to_https_where_a_trusted_proxy_ends_it(
    serve: Serve, trusted: tuple[str, ...], secure: bool
) -> None:
    client = await serve(FakeGateway(login=always(REPLIES["login"])), trusted_proxies=trusted)
    body = {"username": "ada", "password": "correct horse", "cookie": True}
    async with client.post("/api/auth/login", json=body, headers={"X-Forwarded-Proto": "https"}) as reply:
        assert ("Secure" in reply.headers["set-cookie"]) is secure
