"""To whom the bridge lends a person's credential: programs of this machine that bring none, and nobody else."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer.workers.client.lending import Lending

LENT = b"Bearer hi_lent"
HERE = {"host": "127.0.0.1:3000"}


class Asked:
    """An app that keeps what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)

    @property
    def credentials(self) -> list[bytes]:
        """Every credential of the last request."""
        return [value for name, value in self.scopes[-1]["headers"] if name in (b"authorization", b"x-api-key")]


async def asked(
    headers: Mapping[str, str],
    *,
    path: str = "/v1/chat/completions",
    kind: str = "http",
    key: str = "hi_lent",
    version: str = "1.1",
) -> list[bytes]:
    """The credentials that a request comes with to the routes."""
    app = Asked()

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nobody reads or answers")

    named = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": kind, "path": path, "http_version": version, "headers": named}
    await Lending(app, lambda: key, paths={"/inference", "/ws"})(scope, nothing, nothing)
    return app.credentials


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {"host": "localhost:3000"},
        {"host": "[::1]:3000"},
        {"host": "LOCALHOST:3000"},
        HERE | {"origin": "http://127.0.0.1:3000"},
        HERE | {"sec-fetch-site": "same-origin"},
        HERE | {"sec-fetch-site": "none"},
        HERE | {"authorization": "Bearer "},
        HERE | {"authorization": ""},
        HERE | {"x-api-key": ""},
    ],
    ids=str,
)
async def test_it_is_lent_to_who_brings_none(headers: dict[str, str]) -> None:
    assert await asked(headers) == [LENT]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "box.lan:3000"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "["},
        HERE | {"origin": "https://evil.example"},
        HERE | {"origin": "null"},
        HERE | {"origin": "http://localhost:8080"},
        HERE | {"origin": "http://127.0.0.1:3001"},
        HERE | {"sec-fetch-site": "cross-site"},
        HERE | {"sec-fetch-site": "same-site"},
        HERE | {"x-forwarded-for": "10.0.0.1"},
        HERE | {"forwarded": "for=10.0.0.1"},
        HERE | {"via": "1.1 proxy"},
        HERE | {"x-real-ip": "10.0.0.1"},
        HERE | {"x-forwarded-host": "box.lan"},
        HERE | {"x-forwarded-proto": "https"},
        HERE | {"cf-connecting-ip": "10.0.0.1"},
    ],
    ids=str,
)
async def test_it_is_lent_to_no_page_and_through_no_proxy(headers: dict[str, str]) -> None:
    assert await asked(headers) == []


async def test_it_is_lent_through_no_proxy_that_says_nothing_of_itself() -> None:
    assert await asked(HERE, version="1.0") == []


@pytest.mark.parametrize(
    "own", [{"authorization": "Bearer hi_own"}, {"x-api-key": "hi_own"}, {"authorization": "Basic x"}]
)
async def test_who_brings_one_is_left_with_it(own: dict[str, str]) -> None:
    assert await asked(HERE | own) == [text.encode() for text in own.values()]


@pytest.mark.parametrize(
    "path", ["/api/me", "/get-api-token", "/verify-session", "/login", "/api/auth/api-keys", "/v1"]
)
async def test_it_is_lent_for_models_alone(path: str) -> None:
    assert await asked(HERE, path=path) == []


@pytest.mark.parametrize("path", ["/inference", "/v1/models/some"])
async def test_every_way_to_models_has_it(path: str) -> None:
    assert await asked(HERE, path=path) == [LENT]
    assert await asked(HERE, path="/ws", kind="websocket") == [LENT]


async def test_where_there_is_none_nothing_is_lent() -> None:
    assert await asked(HERE, key="") == []
