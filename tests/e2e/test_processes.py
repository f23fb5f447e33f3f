"""A swarm of separate processes, each with a home of its own, that meet through topics of a private DHT alone."""

import json
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from .conftest import ECHO, Child, Starter, environment, left_behind, ran

pytestmark = pytest.mark.slow

BREAK_S = 5.0
"""Longest that a request may fail for when a worker is killed."""
BACK_S = 15.0
"""Longest until a worker that was started again serves."""
ROLES = {"auth": "auth", "gateway": "gateway", "first": "inference", "second": "inference"}
WORKERS = ("first", "second")
LOOPBACK = {"HYPERINFER_COMMON__NET__HOST": "127.0.0.1", "HYPERINFER_COMMON__NET__FIREWALLED": "false"}


@dataclass
class Swarm:
    """A DHT and four workers, by name."""

    folder: Path
    start: Starter
    bootstrap: str
    key: str = ""
    url: str = ""
    children: dict[str, Child] = field(default_factory=dict)

    def env(self, name: str, **more: str) -> dict[str, str]:
        """The environment of one worker: it knows the bootstrap node and no other address."""
        net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": self.bootstrap, **LOOPBACK}
        return environment(self.folder / name, **ECHO, **net, HYPERINFER_COMMON__DRAIN_S="2", **more)

    def found(self) -> None:
        """Make the swarm where auth will be, admit all, and give each machine its copy."""
        auth = self.env("auth")
        assert ran("swarm", "init", env=auth).returncode == 0
        for name, role in ROLES.items():
            key = ran("identity", role, env=self.env(name)).stdout.strip()
            added = ran("members", "add", key, "--role", role, "--name", name, env=auth)
            assert added.returncode == 0, added.stderr
        self.hand_out()
        self.key = json.loads(ran("users", "create-admin", "--json", env=auth).stdout)["api_key"]

    def hand_out(self) -> None:
        """Copy the swarm key and the member list to every machine."""
        source = self.folder / "auth" / "data" / "swarm"
        for name in ROLES:
            target = self.folder / name / "data" / "swarm"
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            for file in ("swarm.key", "members.json"):
                if name != "auth":
                    shutil.copy(source / file, target / file)

    def run(self, name: str) -> Child:
        """Start one worker."""
        words = ["worker", "--wtype", ROLES[name]]
        child = self.children[name] = self.start(*words, env=self.env(name))
        child.until_said("worker_running")
        if name == "gateway":
            self.url = json.loads(next(line for line in child.err if "worker_running" in line))["http"]
        return child

    def ask(self, timeout_s: float = 10.0) -> str:
        """One prompt; gives the worker that answered. Raises `OSError` for a refusal."""
        body = json.dumps({"messages": [{"role": "user", "content": "hello there"}]}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            assert json.load(reply)["choices"][0]["message"]["content"] == "hello there"
            worker: str = reply.headers["x-hyperinfer-worker"]
        return worker

    def states(self) -> dict[str, str]:
        """How the gateway sees each inference worker, by name."""
        request = urllib.request.Request(f"{self.url}/api/workers", headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return {worker["name"]: worker["state"] for worker in json.load(reply)["workers"]}

    def until_ready(self, *names: str, timeout_s: float = 30.0) -> float:
        """Wait until the gateway sees these ready; gives how long it took in seconds."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            try:
                if {name for name, state in self.states().items() if state == "ready"} >= set(names):
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(
            f"not ready: {self.states()}\n" + "\n".join(child.said for child in self.children.values())
        )


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    folder = tmp_path_factory.mktemp("swarm")
    start = Starter()
    try:
        dht = start("dht", "--port", "0", env=environment(folder / "dht"))
        dht.until(lambda: bool(dht.out))
        one = Swarm(folder, start, dht.out[0].removeprefix("net.bootstrap="))
        one.found()
        for name in ROLES:
            one.run(name)
        one.until_ready(*WORKERS)
        yield one
    finally:
        start.close()


def test_prompts_are_answered_by_both_workers(swarm: Swarm) -> None:
    assert len({swarm.ask() for _ in range(40)}) == 2


def test_a_worker_says_no_secret(swarm: Swarm) -> None:
    said = "\n".join(child.said for child in swarm.children.values())
    logged = "\n".join(path.read_text() for path in swarm.folder.rglob("*.log"))
    for secret in (
        swarm.key,
        "hello there",
        (swarm.folder / "auth" / "data" / "swarm" / "swarm.key").read_bytes().hex(),
    ):
        assert secret not in said + logged
    assert all(not child.out for child in swarm.children.values())


def test_status_shows_the_worker_of_its_machine(swarm: Swarm) -> None:
    done = ran("status", env=swarm.env("gateway"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "swarm: online" in done.stdout


class Load:
    """Prompts one after the other from a few threads, and how long they failed for."""

    def __init__(self, swarm: Swarm, threads: int = 3) -> None:
        self._swarm = swarm
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered = 0
        self.failed = 0
        self.worst_s = 0.0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            while not self._try() and not self._stop.is_set():
                pass
            with self._lock:
                self.worst_s = max(self.worst_s, time.monotonic() - began)
                self.answered += 1

    def _try(self) -> bool:
        try:
            self._swarm.ask()
        except OSError:
            with self._lock:
                self.failed += 1
            return False
        return True

    def until(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + more
        deadline = time.monotonic() + 20
        while self.answered < wanted:
            assert time.monotonic() < deadline, "the load stands still"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_a_killed_worker_costs_a_pause_and_is_soon_back(swarm: Swarm) -> None:
    with Load(swarm) as load:
        load.until(20)
        swarm.children["first"].kill()
        load.until(100)
        assert load.worst_s < BREAK_S
        began = time.monotonic()
        swarm.run("first")
        swarm.until_ready(*WORKERS)
        assert time.monotonic() - began < BACK_S
        load.until(50)
        answering = {swarm.ask() for _ in range(40)}
    assert len(answering) == 2
    assert load.worst_s < BREAK_S
    assert left_behind(swarm.folder / "first") != []  # it runs again


def test_a_stopped_worker_costs_nothing(swarm: Swarm) -> None:
    with Load(swarm) as load:
        load.until(20)
        assert swarm.children["second"].stop() == 0
        load.until(30)
    assert load.failed == 0
    assert left_behind(swarm.folder / "second") == []
    swarm.run("second")
    swarm.until_ready(*WORKERS)


def test_a_revoked_worker_is_used_no_more(swarm: Swarm) -> None:
    auth = swarm.env("auth")
    assert ran("members", "revoke", "second", env=auth).returncode == 0
    swarm.hand_out()
    deadline = time.monotonic() + 15
    while "second" in swarm.states() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert swarm.states() == {"first": "ready"}
    key = ran("identity", "inference", env=swarm.env("second")).stdout.strip()
    assert ran("members", "add", key, "--role", "inference", "--name", "second", env=auth).returncode == 0
    swarm.hand_out()
    swarm.until_ready(*WORKERS)


@pytest.mark.parametrize(
    ("words", "prepared", "said"),
    [
        (("--wtype", "auth"), False, "hyperinfer swarm init"),
        (("--wtype", "gateway", "--set", "http.port=TAKEN"), True, "http.port"),
        (("--wtype", "inference", "--set", "observe.port=TAKEN"), True, "observe.port"),
        (("--wtype", "auth", "--set", "database_url=nonsense"), True, "database_url"),
        (("--wtype", "inference", "--set", "net.node=missing-node"), True, "net.node"),
    ],
    ids=["no swarm", "http port", "own port", "database", "node"],
)
def test_a_worker_that_cannot_start_says_why(tmp_path: Path, words: tuple[str, ...], prepared: bool, said: str) -> None:
    env = environment(tmp_path, **ECHO)
    if prepared:
        assert ran("swarm", "init", env=env).returncode == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = ran("worker", *(word.replace("TAKEN", port) for word in words), env=env)
    assert done.returncode == 1
    sentences = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(sentences) == 1
    assert said in sentences[0]
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []


def test_auth_without_an_administrator_says_how_to_make_one(tmp_path: Path, start: Starter) -> None:
    env = environment(tmp_path)
    assert ran("swarm", "init", env=env).returncode == 0
    auth = start("worker", "--wtype", "auth", env=env)
    auth.until_said("hyperinfer users create-admin")
    auth.until_said("worker_running")
    assert auth.out == []
    assert auth.stop() == 0
