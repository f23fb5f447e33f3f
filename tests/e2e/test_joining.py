"""A second machine joins by a code, as its owner would: one word to paste, and no file to copy."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ECHO, Child, Starter, environment, ran

pytestmark = pytest.mark.slow

LOOPBACK = {"HYPERINFER_COMMON__NET__HOST": "127.0.0.1", "HYPERINFER_COMMON__NET__FIREWALLED": "false"}
CUT_S = 3.0
FOUND_S = 30.0


class Machine:
    """A home of its own. It is told of no bootstrap node unless a test does."""

    def __init__(self, folder: Path, name: str, start: Starter, **more: str) -> None:
        self.home = folder / name
        self.start = start
        self.env = environment(self.home, **ECHO, **LOOPBACK, HYPERINFER_COMMON__DRAIN_S="2", **more)
        if "HYPERINFER_COMMON__NET__BOOTSTRAP" not in more:
            del self.env["HYPERINFER_COMMON__NET__BOOTSTRAP"]

    def done(self, *words: str, stdin: str | None = None) -> str:
        """What a command printed."""
        done = ran(*words, env=self.env, stdin=stdin, timeout_s=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self, wtype: str) -> Child:
        """A worker in a process of its own, once it runs."""
        child = self.start("worker", "--wtype", wtype, env=self.env)
        child.until_said("worker_running")
        return child

    def key(self, wtype: str) -> str:
        return self.done("identity", wtype).strip()

    def state_of(self, key: str) -> str:
        """How the member list here has a member: `in`, `out`, or `unknown`."""
        listed = json.loads(self.done("members", "--json"))
        found = [one for one in listed if one["public_key"] == key]
        return "unknown" if not found else "out" if found[0]["revoked"] else "in"


class Gateway:
    """A gateway's HTTP side, with an administrator's key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key

    def workers(self) -> dict[str, str]:
        """The state of each inference worker, by name."""
        request = urllib.request.Request(f"{self.url}/api/workers", headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return {one["name"]: one["state"] for one in json.load(reply)["workers"]}

    def ask(self) -> str:
        """One prompt; gives the start of the key of the worker that answered."""
        body = json.dumps({"messages": [{"role": "user", "content": "hello there"}]}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert json.load(reply)["choices"][0]["message"]["content"] == "hello there"
            worker: str = reply.headers["x-hyperinfer-worker"]
        return worker


def until(holds: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Look until it holds; gives how long that took in seconds."""
    began, last = time.monotonic(), ""
    while time.monotonic() - began < timeout_s:
        try:
            if holds():
                return time.monotonic() - began
        except OSError as error:
            last = f": {error}"
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}{last}")


@pytest.fixture
def bootstrap(tmp_path: Path, start: Starter) -> str:
    """The node of a private DHT."""
    dht = start("dht", "--port", "0", env=environment(tmp_path / "dht"))
    dht.until(lambda: bool(dht.out))
    return dht.out[0].removeprefix("net.bootstrap=")


def test_a_machine_joins_one_where_up_runs(tmp_path: Path, start: Starter, bootstrap: str) -> None:
    a = Machine(tmp_path, "a", start, HYPERINFER_GATEWAY__HTTP__FIRST_PORT="0")
    b = Machine(tmp_path, "b", start)
    up = start("up", "--set", f"net.bootstrap={bootstrap}", env=a.env)
    up.until_ready()
    key = json.loads(a.done("users", "create-admin", "--json")).get("api_key") or up.fact("key")
    gateway = Gateway(up.fact("API").removesuffix("/v1"), key)
    # `up` alone was told of the bootstrap node: the code brings it to the other machine, and it stays there.
    code = a.done("invite", "--role", "inference", "--name", "gpu").strip()
    said = b.done("join", "-", "--json", stdin=code)
    assert json.loads(said)["name"] == "gpu"
    config = json.loads((b.home / "config" / "common.json").read_text())
    assert config == {"net": {"bootstrap": [bootstrap]}}
    worker = b.worker("inference")
    until(lambda: gateway.workers().get("gpu") == "ready", FOUND_S, "the new machine's models")
    own = b.key("inference")
    until(lambda: own.startswith(gateway.ask()), FOUND_S, "an answer of the new machine")
    # The code is spent: whoever finds it gets nowhere.
    thief = Machine(tmp_path, "thief", start)
    refused = ran("join", "-", "--wait", "5", env=thief.env, stdin=code, timeout_s=40)
    assert refused.returncode == 1
    assert "used or revoked" in refused.stderr
    assert not (thief.home / "data" / "swarm").exists()
    # No part of the code is anywhere but where it was pasted.
    logged = "\n".join(path.read_text() for path in tmp_path.rglob("*.log")) + up.said + worker.said
    assert code not in logged
    a.done("members", "revoke", "gpu")
    until(lambda: "gpu" not in gateway.workers(), CUT_S, "the revoked machine to go")
    assert worker.stop() == 0


def test_auth_is_killed_and_the_swarm_goes_on(tmp_path: Path, start: Starter, bootstrap: str) -> None:
    a = Machine(tmp_path, "a", start, HYPERINFER_COMMON__NET__BOOTSTRAP=bootstrap)
    b, c = Machine(tmp_path, "b", start), Machine(tmp_path, "c", start)
    a.done("swarm", "init")
    key = json.loads(a.done("users", "create-admin", "--json"))["api_key"]
    auth = a.worker("auth")
    for machine, role in ((b, "gateway"), (c, "inference")):
        code = a.done("invite", "--role", role).strip()
        machine.done("join", code, "--name", role)
    door = b.worker("gateway")
    c.worker("inference")
    gateway = Gateway(json.loads(next(line for line in door.err if "worker_running" in line))["http"], key)
    until(lambda: bool(gateway.ask()), FOUND_S, "an answer")
    auth.kill()
    own = c.key("inference")
    assert all(own.startswith(gateway.ask()) for _ in range(20))
    # A member that is started anew finds its list where it left it.
    assert door.stop() == 0
    door = b.worker("gateway")
    auth = a.worker("auth")
    gateway = Gateway(json.loads(next(line for line in door.err if "worker_running" in line))["http"], key)
    until(lambda: bool(gateway.ask()), FOUND_S, "an answer after the restart")
    a.done("members", "revoke", "inference")
    took = until(lambda: "inference" not in gateway.workers(), CUT_S, "the revoked machine to go")
    assert took < CUT_S
    assert b.state_of(own) == "out"
    assert auth.stop() == 0
