"""A home of its own for the profile of every test, and the ways in which a client reaches a gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperinfer.testing.reach import Reach, by_swarm, drivers, one_server


@pytest.fixture(autouse=True)
def profile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("HYPERINFER_GATEWAY", "HYPERINFER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hyperinfer" / "profile.json"


@pytest.fixture(scope="module")
def http() -> Iterator[Reach]:
    with one_server() as way:
        yield way


@pytest.fixture(scope="module")
def swarm() -> Reach:
    return by_swarm


@pytest.fixture(scope="module")
def two_drivers() -> Iterator[Reach]:
    with drivers() as way:
        yield way


@pytest.fixture(params=["http", "swarm"])
def reach(request: pytest.FixtureRequest) -> Reach:
    """Either way; what holds of a client holds over both."""
    way: Reach = request.getfixturevalue(request.param)
    return way


@pytest.fixture(params=["http", "swarm", pytest.param("two_drivers", marks=pytest.mark.slow)])
def everywhere(request: pytest.FixtureRequest) -> Reach:
    """The same ways, and the real net."""
    way: Reach = request.getfixturevalue(request.param)
    return way
