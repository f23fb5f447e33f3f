"""Gateways to be talked to from a terminal: one that says the prompt again, one that talks until it is stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import ECHO, Child, Starter, environment, free_port, ran

TALKS = {"HYPERINFER_INFERENCE__ECHO__TOKENS": "100000", "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.02"}

Env = dict[str, str]

TERMINAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "HYPERINFER_COMMON__OBSERVE__PORT": "0"}
"""What kind of terminal it is, and no port on which another's worker may be: that would be told in the middle of the screen."""
QUIET = ECHO | TERMINAL
OFTEN = {"HYPERINFER_METRICS__COLLECT__INTERVAL_S": "0.5", "HYPERINFER_METRICS__COLLECT__TIMEOUT_S": "0.4"}


@pytest.fixture(scope="module")
def start_all() -> Iterator[Starter]:
    starter = Starter()
    try:
        yield starter
    finally:
        starter.close()


@pytest.fixture(scope="module")
def served(start_all: Starter, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Child, Env]]:
    """Starts a gateway in a home of its own; gives it with the environment of whoever uses it."""

    def begin(**more: str) -> tuple[Child, Env]:
        env = environment(tmp_path_factory.mktemp("home"), PORT=str(free_port()), **QUIET)
        child = start_all("up", env=env | more)
        child.until_ready()
        return child, env

    return begin


@pytest.fixture(scope="module")
def echoing(served: Callable[..., tuple[Child, Env]]) -> Env:
    """Beside a gateway that says the prompt again."""
    return served()[1]


@pytest.fixture(scope="module")
def talking(served: Callable[..., tuple[Child, Env]]) -> Env:
    """Beside a gateway whose answers do not end."""
    return served(**TALKS)[1]


@pytest.fixture(scope="module")
def administered(served: Callable[..., tuple[Child, Env]]) -> tuple[Child, Env]:
    """Beside a whole swarm in one process, in the session of its administrator."""
    child, env = served(**OFTEN)
    password = child.fact("password").split()[0]
    assert ran("login", "admin", env=env, stdin=password + "\n").returncode == 0
    return child, env


@pytest.fixture
def alone(tmp_path: Path) -> Env:
    """On a machine on which nothing runs yet."""
    return environment(tmp_path, PORT=str(free_port()), **QUIET)
