"""How `hyperinfer status` shows the links of this machine, from what its workers tell on their own ports."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hyperinfer.cli import status_links
from hyperinfer.cli.status_links import Links, Told
from hyperinfer.cli.workers_here import Seen
from hyperinfer.contracts.common import Health, PeerLink, PeerLinks
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.status import Status
from hyperinfer.sdk.health import PeerLink as ToldLink

OWN, GPU, LAPTOP, WEB = (letter * 64 for letter in "1234")
SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def link(key: str, name: str, how: str = "none", **more: object) -> ToldLink:
    return msgspec.convert({"key": key, "name": name, "roles": ("inference",), "how": how} | more, ToldLink)


AWAY = link(
    LAPTOP,
    "laptop",
    reason="offline",
    trouble="Nobody in the DHT knows it: it is switched off, or has no way out.",
    do="Start it.",
    since=SINCE,
    next_try_s=2.2,
)
GATEWAY = Told(
    links=(
        link(OWN, "auth", "here"),
        link(GPU, "gpu", "punched", round_trip_s=0.0123),
        AWAY,
        link("9" * 64, "", "direct"),
    ),
    strangers=1,
    swarm="online",
    router="steady",
    address="203.0.113.7",
)
AUTH = Told(
    links=(
        link(OWN, "auth", reason="not_tried"),
        link(GPU, "gpu", reason="not_tried"),
        link(LAPTOP, "laptop", reason="not_tried"),
        link(WEB, "web", reason="not_tried"),
    )
)
LINKS = Links({"auth": AUTH, "gateway": GATEWAY}, frozenset([OWN]))


def test_of_several_workers_the_best_way_is_shown_and_own_ones_are_not() -> None:
    assert [(one.name, one.how, one.reason) for one in LINKS.peers] == [
        ("gpu", "punched", ""),
        ("laptop", "none", "offline"),
        ("web", "none", "not_tried"),
    ]
    assert LINKS.strangers == 1


def test_what_is_shown_says_how_and_what_helps_within_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    status_links.show(LINKS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "router: it keeps its ports; the DHT sees this machine as 203.0.113.7" in text
    assert "gpu inference punched 12 ms" in text
    assert "laptop inference offline -" in text
    assert "it is switched off, or has no way out. Start it. It is tried again in 3 s." in text
    assert "not called from here yet: web" in text
    assert "1 of bridges and other clients" in text


def test_a_machine_alone_shows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    status_links.show(Links({"auth": Told(links=(link(OWN, "gateway", "here"),))}, frozenset([OWN])))
    assert capsys.readouterr().out == ""


def test_programs_get_everything_of_each_worker() -> None:
    row = LINKS.row("gateway")
    assert row["links"] == GATEWAY.links
    assert row["address"] == "203.0.113.7"
    assert LINKS.row("inference")["links"] == ()


def test_every_field_of_the_contract_is_shown_to_programs() -> None:
    assert set(ToldLink.__struct_fields__) == set(PeerLink.__struct_fields__)
    assert set(Told.__struct_fields__) == set(PeerLinks.__struct_fields__)


@pytest.fixture
async def port() -> AsyncIterator[str]:
    """A worker's own port, which shows its links to whoever has the token."""

    async def links(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer secret":
            return Response(status_code=401)
        return Response(msgspec.json.encode(GATEWAY), media_type="application/json")

    async def nonsense(_: Request) -> Response:
        return JSONResponse({"links": 3})

    app = Starlette(routes=[Route("/links", links), Route("/bad/links", nonsense)])
    async with serving(app, Listen(port=0)) as url:
        yield url


def seen(name: str, url: str) -> Seen:
    file = Status(
        wtype="gateway",
        name=name,
        pid=1,
        state="running",
        version="0",
        public_key=OWN,
        started_at=SINCE,
        addresses={"observe": url},
    )
    return Seen(file, Health(status="ready", service="gateway", version="0", uptime_s=1.0))


async def test_workers_are_asked_with_the_token_of_their_settings_and_silent_ones_left_out(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path))
    workers = [seen("gateway", port), seen("bad", f"{port}/bad"), seen("gone", "http://127.0.0.1:9")]
    async with asyncio.timeout(10):
        assert not (await status_links.look(workers)).told
        monkeypatch.setenv("HYPERINFER_GATEWAY__OBSERVE__TOKEN", "secret")
        assert (await status_links.look(workers)).told == {"gateway": GATEWAY}
