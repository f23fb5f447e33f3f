"""What is made of the DHT and the router."""

import pytest

from hyperinfer.cli.checks import Verdict, swarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.surroundings import Router, Surroundings

from .conftest import Look

PUBLIC = NetSettings()
OWN = NetSettings(bootstrap=("192.0.2.10:49737",))
SITE = NetSettings(bootstrap=("192.168.1.10:49737",))


def seen(**others: object) -> Surroundings:
    found = {"nodes": 8, "addresses": 5, "host": "198.51.100.7", "port": 49000} | others
    return Surroundings(**found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("surroundings", "router"),
    [
        (seen(), "steady"),
        (seen(port=0), "random"),
        (seen(host="10.0.0.5"), "none"),
        (seen(addresses=1), "unknown"),
        (seen(host=None, port=0), "unknown"),
    ],
)
def test_what_stands_between_is_told_by_how_nodes_see_us(surroundings: Surroundings, router: Router) -> None:
    assert surroundings.router({"127.0.0.1", "10.0.0.5"}) == router


@pytest.mark.parametrize("settings", [PUBLIC, OWN], ids=["public", "own"])
def test_to_be_offline_is_worth_a_look_and_no_failure(settings: NetSettings) -> None:
    [found] = swarm.surroundings(seen(nodes=0, addresses=0, host=None, port=0), settings, "unknown")
    assert found.verdict is Verdict.WARN
    assert "hyperinfer dht" in found.mend


def test_routers_are_told_with_what_follows_from_them() -> None:
    verdicts = {
        router: swarm.surroundings(seen(), PUBLIC, router)[-1].verdict
        for router in ("none", "steady", "random", "unknown")
    }
    assert verdicts == {"none": Verdict.OK, "steady": Verdict.OK, "random": Verdict.WARN, "unknown": Verdict.OK}


def test_on_one_site_there_is_no_router_to_get_through() -> None:
    found = swarm.surroundings(seen(), SITE, "random")
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.OK]


async def test_without_a_driver_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_COMMON__NET__DRIVER", "false")
    found = await swarm.check(look())
    assert [one.what for one in found] == ["driver"]


async def test_a_node_that_is_not_there_is_in_the_way(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_COMMON__NET__NODE", "/nowhere/node")
    [found] = await swarm.check(look())
    assert found.verdict is Verdict.FAIL
    assert "/nowhere/node" in found.found


async def test_a_node_that_is_something_else_is_in_the_way(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_COMMON__NET__NODE", "/bin/false")
    [found] = await swarm.check(look())
    assert found.verdict is Verdict.FAIL
    assert "exit code 1" in found.found
