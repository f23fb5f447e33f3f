"""Peers written in JavaScript, both ways, with the genuine @hyperswarm/rpc."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.conftest import Node, ask, js_server

from hyperinfer.contracts.method import PUBLIC, Method, Wire
from hyperinfer.errors import RemoteError, UnknownMethod
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.swarm import load
from hyperinfer.protocol.topics import plain_topic
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.testing.testnet import local_dht
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

TOPIC = plain_topic("sums")


class Numbers(Wire, frozen=True):
    numbers: tuple[int, ...] = ()
    up_to: int = 0


class Sum(Wire, frozen=True):
    sum: int = 0
    done: bool = False


def method(name: str, *, streams: bool = False) -> Method[Numbers, Sum]:
    return Method(name, Numbers, Sum, PUBLIC, streams=streams)


@asynccontextmanager
async def peers(settings: NetSettings) -> AsyncIterator[Peers]:
    async with hyperswarm(settings) as net:
        endpoint = await net.open(from_seed(b"p" * 32))
        async with Peers(endpoint, clock=SystemClock(), settings=settings) as one:
            yield one


async def test_python_calls_a_javascript_server(node: Node) -> None:
    async with local_dht() as settings:
        assert settings.bootstrap
        async with js_server(node, settings.bootstrap[0], TOPIC) as key, peers(settings) as one:

            async def found() -> bool:
                return await one.find(TOPIC) == [key]

            await eventually(found)
            assert await one.call(key, method("sum"), Numbers((1, 2, 3)), timeout_s=5) == Sum(6)
            with pytest.raises(RemoteError, match="ERR_NOT_TODAY"):
                await one.call(key, method("fail"), Numbers(), timeout_s=5)
            with pytest.raises(RemoteError, match="Request failed"):
                await one.call(key, method("throw"), Numbers(), timeout_s=5)
            with pytest.raises(UnknownMethod):
                await one.call(key, method("nothing"), Numbers(), timeout_s=5)

            got: list[bytes] = []

            async def sink(chunks: Sequence[bytes]) -> None:
                got.extend(chunks)

            reply = await one.call(key, method("count", streams=True), Numbers(up_to=100), timeout_s=5, sink=sink)
            assert reply == Sum(done=True)
            assert [msgspec.json.decode(chunk)["seq"] for chunk in got] == list(range(100))


@dataclass(frozen=True)
class Platform:
    """Running workers: the folder of their swarm, its bootstrap node, and the workers' keys."""

    folder: Path
    bootstrap: str
    keys: dict[str, bytes]

    def topic(self, name: str) -> bytes:
        return load(self.folder).topic(name)


@asynccontextmanager
async def platform(home: Path) -> AsyncIterator[Platform]:
    """Gateway, auth and an echoing inference worker on a real DHT."""
    parts = [
        part(AUTH, home=home),
        part(INFERENCE, home=home, llamacpp__enabled=False, echo__enabled=True),
        part(GATEWAY, home=home, http__port=0, registration__swarm="open"),
    ]
    async with local_dht() as settings, hyperswarm(settings) as net, swarm(parts, home=home, net=net) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready() and net.status().state == "online"

        await eventually(ready)
        assert settings.bootstrap
        keys = {name: one.public_key for name, one in running.items()}
        yield Platform(home / "data" / "swarm", settings.bootstrap[0], keys)


async def test_a_javascript_peer_finds_the_gateway_logs_in_and_is_answered(node: Node, tmp_path: Path) -> None:
    async with platform(tmp_path) as running:
        person = {"email": "js@example.com", "password": "correct horse battery"}
        got = await ask(
            node,
            running.bootstrap,
            running.topic("gateway"),
            ("ping", None),
            ("processPrompt", {"data": {"prompt": "hi"}, "meta": {"key": "wrong"}}),
            ("register", {"data": person, "meta": {}}),
            ("register", {"data": person, "meta": {}}),
            ("login", {"data": {**person, "password": "wrong password"}, "meta": {}}),
            ("login", {"data": person, "meta": {}}),
            ("verifySession", {"data": {}, "meta": {"key": "$key"}}),
            ("processPrompt", {"data": {"prompt": "hi there"}, "meta": {"key": "$key"}}),
            ("login", "no object"),
        )
    assert got["keys"] == [running.keys["gateway"].hex()]
    ping, refused, registered, again, wrong, login, session, answer, nonsense = got["replies"]
    assert ping["status"] == "healthy"
    assert ping["service"] == "gateway"
    assert refused.startswith("[HRPC_ERR]=UNAUTHENTICATED: ")
    assert registered["success"] is True
    assert (registered["status"], registered["email"]) == (201, person["email"])
    assert (again["success"], again["status"]) == (False, 409)
    assert (wrong["success"], wrong["status"]) == (False, 401)
    assert (login["success"], login["status"], login["email"]) == (True, 200, person["email"])
    assert session["valid"] is True
    assert session["email"] == person["email"]
    assert set(session["rateLimitInfo"]) == {
        "remainingRequests",
        "maxRequests",
        "nextResetInSeconds",
        "windowDurationMinutes",
    }
    assert {"prompt", "response", "processed_at", "requestId"} <= set(answer)
    assert answer["prompt"] == "hi there"
    assert nonsense.startswith("[HRPC_ERR]=BAD_REQUEST: ")


@pytest.mark.parametrize("name", ["auth", "inference"])
async def test_a_javascript_peer_that_is_no_member_reaches_no_other_worker(
    node: Node, tmp_path: Path, name: str
) -> None:
    async with platform(tmp_path) as running:
        got: dict[str, Any] = await ask(node, running.bootstrap, running.topic(name), ("ping", None))
    # Found under its topic, and refused in the handshake: what comes back is no reply of ours.
    assert got == {"failed": "CHANNEL_CLOSED"}


async def test_a_javascript_member_calls_only_what_its_role_may(node: Node, tmp_path: Path) -> None:
    seed = b"m" * 32
    async with platform(tmp_path) as running:
        key = from_seed(seed).public_key
        member_file.add(running.folder, key, roles=["metrics"], name="js", now=datetime.now(UTC))
        person = {"email": "js@example.org", "password": "correct horse battery"}
        requests = ("ping", None), ("getMetrics", None), ("register", person), ("getJwks", None)

        async def admitted() -> bool:
            got = await ask(node, running.bootstrap, running.topic("auth"), *requests, seed=seed)
            replies.extend(got.get("replies", ()))
            return bool(replies)

        replies: list[Any] = []
        await eventually(admitted, timeout_s=30)
    ping, metrics, register, jwks = replies
    assert ping["service"] == "auth"
    assert "ai_platform" in metrics["text"]
    assert register.startswith("[HRPC_ERR]=FORBIDDEN: ")
    assert jwks.startswith("[HRPC_ERR]=FORBIDDEN: ")


async def test_a_javascript_member_that_is_revoked_is_refused(node: Node, tmp_path: Path) -> None:
    seed = b"m" * 32
    async with platform(tmp_path) as running:
        key = from_seed(seed).public_key
        member_file.add(running.folder, key, roles=["gateway"], name="js", now=datetime.now(UTC))
        member_file.revoke(running.folder, key, now=datetime.now(UTC))
        got = await ask(node, running.bootstrap, running.topic("inference"), ("ping", None), seed=seed)
    assert got == {"failed": "CHANNEL_CLOSED"}
