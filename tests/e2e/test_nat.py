"""Machines behind routers of their own, with nothing in common but a DHT on the internet: they meet, and the answer streams.

The networks are namespaces of this machine. Each home has the same private addresses inside and a router with NAT that
lets nothing in by itself, so that a connection comes about by hole punching or not at all.
"""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import ECHO, Child, Starter, command, environment
from .namespaces import Home, Internet, internet

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.slow, pytest.mark.timeout(180)]

log = logging.getLogger(__name__)

EVERY_FLOW = "masquerade fully-random"
"""What a router does that gives every flow a port of its own."""
NODES = 4
"""From nodes at several addresses a machine learns what its router does."""
PORT = 49737
TOKENS = 40
SLOW = {
    **ECHO,
    "HYPERINFER_INFERENCE__ECHO__TOKENS": str(TOKENS),
    "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.05",
}
REACHED_S = 90.0

ASK = """
import json, sys, time
from openai import APIError, OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0, timeout=60)
began = time.perf_counter()
said = {"texts": [], "first_s": None, "error": None, "status": None}
try:
    for chunk in client.chat.completions.create(
        model=sys.argv[3], messages=[{"role": "user", "content": "hello"}], stream=True
    ):
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            said["first_s"] = said["first_s"] or time.perf_counter() - began
            said["texts"].append(text)
            if len(said["texts"]) == 3:
                print("under way", flush=True)
except APIError as error:
    said["error"], said["status"] = error.message, getattr(error, "status_code", None)
print(json.dumps(said | {"whole_s": time.perf_counter() - began}), flush=True)
"""


@dataclass
class World:
    """The internet with its DHT, and the home in which the gateway runs."""

    net: Internet
    start: Starter
    folder: Path
    bootstrap: str = ""
    gateway: Home = field(init=False)
    up: Child = field(init=False)
    key: str = ""
    swarm_link: str = ""
    gateway_link: str = ""

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """The environment of processes in a home."""
        return environment(self.folder / name, HYPERINFER_COMMON__NET__BOOTSTRAP=self.bootstrap, **more)

    def begin(self) -> None:
        """Run the DHT, and everything that a first machine runs."""
        first, *others = self.net.server_addresses(NODES)
        self.bootstrap = f"{first}:{PORT}"
        for address in (first, *others):
            join = () if address == first else ("--join", self.bootstrap)
            words = ("dht", "--host", address, "--port", str(PORT), *join)
            node = self.start(*words, env=environment(self.folder / address), inside=self.net.space.inside)
            node.until_said("net.bootstrap=")
        self.gateway = self.net.home("a")
        env = self.environment("a", **SLOW)
        self.up = self.start("up", env=env, inside=self.gateway.machine.inside)
        self.up.until_ready()
        self.up.until(lambda: self.up.fact("swarm") == "online")
        self.key = self.up.fact("key")
        links = said("link", "--json", env=env)
        found = json.loads(links)
        self.swarm_link, self.gateway_link = found["swarm"], found["gateways"][0]["link"]

    def links(self) -> dict[str, str]:
        """How the first machine reaches each member elsewhere, or why not, as its operator sees it."""
        told = links(self.gateway, self.environment("a", **SLOW))
        return {link["name"]: link["reason"] or link["how"] for link in told if link["name"] and link["how"] != "here"}

    def bridge(self, home: Home, name: str, link: str) -> "Bridge":
        """Run a bridge in another home."""
        env = self.environment(name)
        child = self.start("bridge", "--gateway", link, env=env, inside=home.machine.inside)
        child.until(lambda: bool(child.fact("API")), REACHED_S)
        return Bridge(home, child, child.fact("API").removesuffix("/v1"), env)

    def join(self, home: Home, name: str, *, model: str) -> "Far":
        """Join the swarm from another home and run an inference worker there that serves this model."""
        here, env = self.gateway.machine.inside, self.environment(name, **SLOW)
        invite = said("invite", "--role", "inference", "--json", env=self.environment("a", **SLOW), inside=here)
        said("join", json.loads(invite)["code"], env=env, inside=home.machine.inside)
        words = ("worker", "--wtype", "inference", "--set", f"echo.model={model}")
        worker = self.start(*words, env=env, inside=home.machine.inside)
        worker.until_said("worker_running")
        return Far(home, worker)


@dataclass
class Far:
    """An inference worker in a home of its own."""

    home: Home
    child: Child

    @property
    def is_busy(self) -> bool:
        """Whether it answers something now."""
        metrics = self.home.machine.run("curl", "--silent", "--max-time", "5", "http://127.0.0.1:9102/metrics")
        return 'slots_busy{model="distant"} 1' in metrics


@dataclass
class Bridge:
    """A bridge in a home of its own."""

    home: Home
    child: Child
    url: str
    env: Mapping[str, str]

    def asking(self, key: str, model: str = "echo") -> subprocess.Popen[str]:
        """The official client asks through the bridge; it says when an answer is under way, and what came of it."""
        words = [*self.home.machine.inside, sys.executable, "-c", ASK, self.url, key, model]
        return subprocess.Popen(words, env=dict(self.env), stdout=subprocess.PIPE, text=True)

    def ask(self, key: str, model: str = "echo") -> dict[str, Any]:
        """The same, until its end."""
        out, _ = self.asking(key, model).communicate(timeout=REACHED_S)
        told: dict[str, Any] = json.loads(out.splitlines()[-1])
        return told

    def until_answered(self, key: str, model: str = "echo") -> tuple[dict[str, Any], float]:
        """Ask again and again; gives the first answer in full and how long that took."""
        began = time.monotonic()
        while True:
            told = self.ask(key, model)
            if len(told["texts"]) == TOKENS:
                return told, time.monotonic() - began
            assert time.monotonic() - began < REACHED_S, f"{told}\n{self.child.said}"


def links(home: Home, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the workers of a machine tell of their links."""
    told = subprocess.run(
        [*home.machine.inside, *command("status", "--json")],
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [link for worker in json.loads(told.stdout) for link in worker["links"] if link["reason"] != "not_tried"]


def said(*words: str, env: Mapping[str, str], inside: Sequence[str] = ()) -> str:
    """What a command says that must succeed."""
    line = [*inside, *command(*words)]
    done = subprocess.run(line, env=dict(env), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    start = Starter()
    with internet() as net:
        try:
            one = World(net, start, tmp_path_factory.mktemp("nat"))
            one.begin()
            yield one
        finally:
            start.close()


def until(holds: Callable[[], bool]) -> None:
    """Look until this holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < REACHED_S
        time.sleep(0.5)


def report(**figures: float) -> None:
    """Figures for whoever asks with `--log-cli-level=INFO`."""
    log.info(", ".join(f"{name} {figure:.3f}" for name, figure in figures.items()))


@pytest.mark.parametrize("kind", ["swarm_link", "gateway_link"])
def test_the_official_client_streams_through_a_bridge_across_two_routers(world: World, kind: str) -> None:
    home = world.net.home(kind[0])
    bridge = world.bridge(home, kind, getattr(world, kind))
    first, cold_s = bridge.until_answered(world.key)
    again = bridge.ask(world.key)
    [link] = links(home, bridge.env)
    inbound = [one for one in links(world.gateway, world.environment("a", **SLOW)) if one["key"] and not one["name"]]

    bridge.child.stop()

    assert (link["how"], link["inbound"]) == ("punched", False)
    assert link["sent_bytes"] > 0
    assert "punched" in {one["how"] for one in inbound}

    assert first["texts"] == again["texts"]
    assert home.spoke_with(world.gateway.outside) > 0, "the answer came some other way than from router to router"
    report(cold_s=cold_s, first_s=again["first_s"], whole_s=again["whole_s"])


def test_a_router_that_gives_every_flow_another_port_is_passed_by_guessing(world: World) -> None:
    home = world.net.home("rnd", masquerade=EVERY_FLOW)
    bridge = world.bridge(home, "rnd", world.gateway_link)
    told, cold_s = bridge.until_answered(world.key)
    [link] = links(home, bridge.env)
    bridge.child.stop()

    assert (link["how"], link["router"]) == ("punched", "random")
    assert home.spoke_with(world.gateway.outside) > 0
    report(cold_s=cold_s, first_s=told["first_s"])


def test_a_bridge_survives_another_address_inside_and_outside(world: World) -> None:
    home = world.net.home("mv")
    bridge = world.bridge(home, "mv", world.swarm_link)
    bridge.until_answered(world.key)

    home.move_inside()
    _, inside_s = bridge.until_answered(world.key)
    home.move_outside(world.net)
    _, outside_s = bridge.until_answered(world.key)
    bridge.child.stop()

    report(inside_s=inside_s, outside_s=outside_s)


def test_machines_behind_further_routers_join_and_an_answer_outlives_its_worker(world: World) -> None:
    workers = [world.join(world.net.home(name), name, model="distant") for name in ("far1", "far2")]
    bridge = world.bridge(world.net.home("ask"), "ask", world.swarm_link)
    told = bridge.until_answered(world.key, "distant")[0]
    until(lambda: sorted(world.links().values()) == ["punched", "punched"])

    asking = bridge.asking(world.key, "distant")
    assert asking.stdout
    assert asking.stdout.readline() == "under way\n"
    [serving] = [worker for worker in workers if worker.is_busy]
    serving.child.kill()
    out, _ = asking.communicate(timeout=REACHED_S)
    after = json.loads(out.splitlines()[-1])

    assert after["error"] is None
    assert after["texts"] == told["texts"], "the answer went on where it was"
    until(lambda: sorted(world.links().values()) == ["offline", "punched"])
