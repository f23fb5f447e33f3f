"""One request's lines, found in all processes that it has touched: from the files, through a gateway, and while it happens."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Child, Starter, ran
from .processes import CHAT, Machine, done, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WORKERS = ("auth", "inference", "gateway", "metrics")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Four workers, each in a process of its own."""
    unlimited = {f"HYPERINFER_AUTH__TIERS__DEFAULT__REQUESTS_PER_{window}": "1000000" for window in ("MINUTE", "HOUR")}
    with machine(tmp_path_factory.mktemp("logs"), *WORKERS, **unlimited) as one:
        made = json.loads(done("users", "create-admin", "--json", env=one.env))
        logged_in = ran("login", made["username"], "--gateway", one.url, env=one.env, stdin=made["password"])
        assert logged_in.returncode == 0, logged_in.stderr
        yield one


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.close()


def ask(one: Machine, request_id: str) -> None:
    headers = {
        "Authorization": f"Bearer {one.key}",
        "Content-Type": "application/json",
        "X-Request-Id": request_id,
    }
    request = urllib.request.Request(f"{one.url}/v1/chat/completions", json.dumps(CHAT).encode(), headers)
    with urllib.request.urlopen(request, timeout=15) as reply:
        assert reply.status == 200


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def logs(one: Machine, *words: str) -> list[dict[str, Any]]:
    return lines(done("logs", "--json", *words, env=one.env))


def shape(found: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(line["worker"], line["method"], line["status"]) for line in found}


EXPECTED = {("inference", "processRequest", "ok"), ("gateway", "processInferenceRequest", "ok")}


def until_lines(one: Machine, *words: str, count: int) -> list[dict[str, Any]]:
    """The lines, once they are in the files: that takes half a second."""
    found: list[dict[str, Any]] = []
    for _ in range(10):
        found = logs(one, *words)
        if len(found) >= count:
            return found
    raise AssertionError(found)


def test_one_requests_lines_from_the_files(processes: Machine) -> None:
    ask(processes, "from-the-files")
    found = until_lines(processes, "--request", "from-the-files", count=2)
    assert shape(found) == EXPECTED
    assert {line["request_id"] for line in found} == {"from-the-files"}
    gateway, inference = sorted(found, key=lambda line: line["worker"])
    assert gateway["asked"] == "inference"
    for line in (gateway, inference):
        assert (line["model"], line["prompt_tokens"] > 0, line["completion_tokens"] > 0) == ("echo", True, True)
    folders = {path.parent.name for path in (processes.home / "logs").glob("*/event.log")}
    assert folders == set(WORKERS), "each process has files of its own"


def test_one_requests_lines_through_a_gateway(processes: Machine) -> None:
    ask(processes, "through-a-gateway")
    found = logs(processes, "--gateway", processes.url, "--request", "through-a-gateway")
    assert shape(found) == EXPECTED
    assert [line["member"] for line in found] == [line["worker"] for line in found]
    told = done("logs", "--gateway", processes.url, "--request", "through-a-gateway", env=processes.env)
    assert len(told.splitlines()) == 2
    assert "through-a-gateway" in told


@pytest.mark.parametrize("where", ["here", "gateway"])
def test_lines_are_followed_while_it_happens(processes: Machine, start: Starter, where: str) -> None:
    through = ("--gateway", processes.url) if where == "gateway" else ()
    known = f"known-{where}"
    ask(processes, known)
    until_lines(processes, "--request", known, count=2)
    follower = start("logs", "--follow", "--json", *through, env=processes.env)
    seen(follower, known)  # what was comes first: from here on it follows
    ask(processes, f"while-{where}")
    found = seen(follower, f"while-{where}")
    assert shape(found) == EXPECTED
    assert follower.stop() == 130


def seen(follower: Child, request_id: str) -> list[dict[str, Any]]:
    """Wait for both lines of a request."""

    def of_it() -> list[dict[str, Any]]:
        return [line for line in lines("\n".join(follower.out)) if line.get("request_id") == request_id]

    follower.until(lambda: len(of_it()) >= 2)
    return of_it()


def test_a_killed_process_loses_half_a_second_at_most(processes: Machine) -> None:
    ask(processes, "long-before")
    until_lines(processes, "--request", "long-before", "--worker", "inference", count=1)
    ask(processes, "just-before")
    processes.children["inference"].kill()
    path: Path = processes.home / "logs" / "inference" / "event.log"
    kept = path.read_bytes()
    assert kept.endswith(b"\n"), "no line is torn"
    assert b'"long-before"' in kept
    assert [line["status"] for line in lines(kept.decode()) if line.get("request_id") == "long-before"] == ["ok"]
    processes.run("inference")
    processes.until_answers()
    ask(processes, "afterwards")
    assert len(until_lines(processes, "--request", "afterwards", count=2)) == 2


def test_a_worker_that_is_down_is_said_and_the_others_are_shown(processes: Machine) -> None:
    processes.children["inference"].stop()
    ended = ran("logs", "--gateway", processes.url, "-n", "5", env=processes.env, timeout_s=60)
    assert ended.returncode == 0, ended.stderr
    assert "inference was not asked: " in ended.stderr
    assert len(ended.stdout.splitlines()) == 5
    assert logs(processes, "--worker", "inference"), "its files are here, whether it runs or not"
    processes.run("inference")
    processes.until_answers()
