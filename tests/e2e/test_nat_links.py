"""What is told of a connection between machines behind routers, and of one that does not come about: by the driver itself.

The networks are those of `test_nat.py`; here nothing runs in them but a DHT and two ends of a connection.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Starter, environment
from .namespaces import Home, Internet, internet

pytestmark = [pytest.mark.needs_namespaces, pytest.mark.slow, pytest.mark.timeout(120)]

EVERY_FLOW = "masquerade fully-random"
"""What a router does that gives every flow a port of its own."""
NODES = 4
PORT = 49737
TRY_S = 60.0

END = """
import asyncio, json, sys
import structlog
from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.net import Admission
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
KEYS = {name: from_seed(name[:1].encode() * 32) for name in ("listener", "caller", "stranger")}

class Inbound:
    async def on_request(self, link, method, payload): return payload
    def on_event(self, link, method, payload): pass
    def on_open(self, link): opened.set()
    def on_close(self, link): pass

opened = asyncio.Event()

async def told(net, endpoint):
    await endpoint.measure()
    [state] = endpoint.links()
    return {"how": state.how, "ours": state.router, "theirs": state.remote_router, "router": net.status().router}

async def found_out(endpoint, key, role):
    # Who refuses says so a moment later.
    while (where := await endpoint.whereabouts(key)) == "silent" and role == "stranger":
        await asyncio.sleep(0.2)
    return where

async def main(role, bootstrap, connect_s):
    async with hyperswarm(NetSettings(bootstrap=(bootstrap,))) as net:
        endpoint = await net.open(KEYS[role])
        if role == "listener":
            admission = Admission(keys=frozenset([KEYS["caller"].public_key]))
            await endpoint.listen(Inbound(), methods=("echo",), admission=admission)
            print("listens", flush=True)
            await opened.wait()
            print(json.dumps(await told(net, endpoint)), flush=True)
            await asyncio.Event().wait()
        key = KEYS["listener"].public_key
        try:
            link = await endpoint.connect(key, Inbound(), timeout_s=float(connect_s))
            await link.request("echo", b"1", timeout_s=5)
            print(json.dumps(await told(net, endpoint)), flush=True)
        except PeerUnreachable as error:
            print(json.dumps(error.details | {"whereabouts": await found_out(endpoint, key, role)}), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class World:
    """The internet with its DHT."""

    net: Internet
    folder: Path
    bootstrap: str

    @contextmanager
    def end(self, home: Home, role: str, *, connect_s: float = 10.0) -> "Iterator[subprocess.Popen[str]]":
        """One end of a connection, in a home."""
        words = [*home.machine.inside, sys.executable, "-c", END, role, self.bootstrap, str(connect_s)]
        log = self.folder / f"{home.machine.name}-{role}.log"
        with (
            log.open("w") as said,
            subprocess.Popen(
                words,
                env=environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def listener(self, home: Home) -> "Iterator[subprocess.Popen[str]]":
        """The end that waits for the other."""
        with self.end(home, "listener") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "listens\n"
            yield process

    def called(self, home: Home, role: str = "caller", *, connect_s: float = 10.0) -> dict[str, Any]:
        """What the end that calls is told."""
        with self.end(home, role, connect_s=connect_s) as process:
            out, _ = process.communicate(timeout=TRY_S)
        told: dict[str, Any] = json.loads(out)
        return told

    def meet(self, listening: Home, calling: Home) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let one call the other; gives what the caller is told, and what the listener is, if they meet."""
        with self.listener(listening) as listener:
            told = self.called(calling)
            assert listener.stdout is not None
            return told, json.loads(listener.stdout.readline()) if "how" in told else {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    start, folder = Starter(), tmp_path_factory.mktemp("links")
    with internet() as net:
        try:
            first, *others = net.server_addresses(NODES)
            bootstrap = f"{first}:{PORT}"
            for address in (first, *others):
                join = () if address == first else ("--join", bootstrap)
                words = ("dht", "--host", address, "--port", str(PORT), *join)
                node = start(*words, env=environment(folder / address), inside=net.space.inside)
                node.until_said("net.bootstrap=")
            yield World(net, folder, bootstrap)
        finally:
            start.close()


def test_two_steady_routers_are_punched_through_and_both_sides_are_told(world: World) -> None:
    told, heard = world.meet(world.net.home("s1"), world.net.home("s2"))
    assert (told["how"], told["router"]) == ("punched", "steady")
    assert {told["ours"], told["theirs"]} <= {"steady", "unknown"}  # a hole is often through before anybody has looked
    assert heard["how"] == "punched"


def test_machines_of_one_home_need_no_hole(world: World) -> None:
    home = world.net.home("lan")
    told, heard = world.meet(home, home)
    assert told["how"] == "direct"
    assert heard["how"] == "direct"


def test_two_routers_with_a_port_for_every_flow_are_said_to_be_what_stands_between(world: World) -> None:
    told, _ = world.meet(world.net.home("r1", masquerade=EVERY_FLOW), world.net.home("r2", masquerade=EVERY_FLOW))
    assert told["reason"] == "not_punched"
    assert (told["router"], told["remote_router"]) == ("random", "random")


def test_who_is_refused_across_two_routers_is_told_so(world: World) -> None:
    with world.listener(world.net.home("c1")):
        told = world.called(world.net.home("c2"), "stranger", connect_s=3)
    assert told["whereabouts"] == "refused"
    assert told["reason"] in ("refused", "no_answer")


def test_a_machine_that_was_unplugged_is_told_from_one_that_refuses(world: World) -> None:
    home = world.net.home("u1")
    with world.listener(home):
        home.router.run("ip", "link", "set", "lan", "down")
    told = world.called(world.net.home("u2"), connect_s=3)
    assert told["whereabouts"] == "silent"
    assert told["reason"] in ("refused", "no_answer")
