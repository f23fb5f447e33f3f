"""A home of its own for the profile of every test, and the ways in which a client reaches a gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperinfer.testing.reach import Reach, by_http, by_swarm, drivers


@pytest.fixture(autouse=True)
def profile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("HYPERINFER_GATEWAY", "HYPERINFER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hyperinfer" / "profile.json"


@pytest.fixture(params=[by_http, by_swarm], ids=["http", "swarm"])
def reach(request: pytest.FixtureRequest) -> Reach:
    """Either way; what holds of a client holds over both."""
    way: Reach = request.param
    return way


@pytest.fixture(scope="module")
def two_drivers() -> Iterator[Reach]:
    with drivers() as way:
        yield way


@pytest.fixture(params=["http", "swarm", pytest.param("drivers", marks=pytest.mark.slow)])
def everywhere(request: pytest.FixtureRequest) -> Reach:
    """The same ways, and the real net."""
    way: Reach
    if request.param == "drivers":
        way = request.getfixturevalue("two_drivers")
        return way
    way = by_http if request.param == "http" else by_swarm
    return way
