"""What is made of ports that are free, held by us, or taken."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from hyperinfer.cli.checks import Here, Verdict, ports
from hyperinfer.cli.checks.ports import Wanted
from hyperinfer.kernel.status import Status

from .conftest import Look

RUNNING = Status(
    wtype="gateway", name="gateway", pid=1, state="running", version="1", public_key="", started_at=datetime.now(UTC)
)


@pytest.fixture
def held() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_says_by_whom(held: int) -> None:
    trouble = ports.taken(Wanted("127.0.0.1", held, "gateway.http.port", exact=False))
    assert trouble
    assert trouble.startswith("It is taken by ")
    assert ports.taken(Wanted("127.0.0.1", 0, "gateway.http.port", exact=True)) is None


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    assert ports.taken(Wanted("192.0.2.1", 3000, "gateway.http.port", exact=False))


def test_a_default_port_may_be_another_and_a_configured_one_may_not() -> None:
    default = ports.judged(Wanted("127.0.0.1", 3000, "gateway.http.port", exact=False), "It is taken.", 3001)
    assert default.verdict is Verdict.WARN
    assert default.mend.startswith("3001 will be taken instead")
    exact = ports.judged(Wanted("127.0.0.1", 3000, "gateway.http.port", exact=True), "It is taken.", 3001)
    assert exact.verdict is Verdict.FAIL
    assert "Set gateway.http.port" in exact.mend


async def test_a_port_that_we_hold_ourselves_is_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch, look: Look, held: int
) -> None:
    monkeypatch.setenv("HYPERINFER_COMMON__OBSERVE__ENABLED", "false")
    monkeypatch.setenv("HYPERINFER_GATEWAY__HTTP__PORT", str(held))
    place = look()
    [taken] = await ports.check(place)
    assert taken.verdict is Verdict.FAIL
    ours = replace(RUNNING, addresses={"http": f"http://127.0.0.1:{held}"})
    [own] = await ports.check(Here(place.home, place.loaded, {}, (ours,)))
    assert own.verdict is Verdict.OK
    assert "held by the gateway worker" in own.found
    moved = replace(RUNNING, addresses={"http": "http://127.0.0.1:1"})
    [elsewhere] = await ports.check(Here(place.home, place.loaded, {}, (moved,)))
    assert elsewhere.verdict is Verdict.OK
    assert "has another" in elsewhere.found
