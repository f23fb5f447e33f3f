"""The gateway over the swarm: strangers in the original interface's shapes, and what they may not do."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.common import METRICS, PING
from hyperinfer.contracts.gateway import Infer, ProcessPrompt
from hyperinfer.contracts.inference import PROCESS_REQUEST, ProcessRequest
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.errors import Forbidden, PeerUnreachable, TooLarge, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel import swarm
from hyperinfer.kernel.callers import PeerCaller
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.auth import PASSWORD, FakeAuth
from hyperinfer.testing.inference import FakeInference

from .conftest import BODY, House, house


@asynccontextmanager
async def stranger(running: House) -> AsyncIterator[Peers]:
    """A peer that is no member, each time another."""
    endpoint = await running.net.open(from_seed(os.urandom(32)))
    async with Peers(endpoint, clock=SystemClock(), settings=NetSettings()) as peers:
        yield peers
    await endpoint.close()


@asynccontextmanager
async def asking(running: House) -> AsyncIterator[PeerCaller]:
    """The gateway's contract as a stranger reaches it, found by its topic."""
    async with stranger(running) as peers:
        topic = swarm.load(running.home / "data" / "swarm").topic("gateway")
        [key] = await peers.find(topic)
        assert key == running.running["gateway"].public_key
        yield PeerCaller(peers, key)


async def test_a_stranger_logs_in_and_asks(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running, asking(running) as gateway:
        assert (await gateway.call(PING, Nothing())).service == "gateway"
        session = await gateway.call(contract.LOGIN, contract.Login(email="ada@example.com", password=PASSWORD))
        assert (session.success, session.status, session.email) == (True, 200, "ada@example.com")
        meta = Meta(key=session.key, request_id="mine")
        reply = await gateway.call(contract.PROCESS_PROMPT, ProcessPrompt(prompt="hi"), meta=meta)
        assert (reply.prompt, reply.response, reply.request_id) == ("hi", "one two three", "mine")
        assert reply.processed_at is not None
        assert reply.processed_at.endswith("Z")
        session_is = await gateway.call(contract.VERIFY_SESSION, Nothing(), meta=meta)
        assert (session_is.valid, session_is.email) == (True, "ada@example.com")


async def test_refusals_keep_their_shapes(tmp_path: Path) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=1)})
    async with house(tmp_path, FakeInference("m"), auth=auth) as running, asking(running) as gateway:
        wrong = await gateway.call(contract.LOGIN, contract.Login(email="ada@example.com", password="no"))
        assert (wrong.success, wrong.status) == (False, 401)
        closed = await gateway.call(contract.REGISTER, contract.Register(email="b@example.com", password=PASSWORD))
        assert (closed.success, closed.status) == (False, 403)
        assert (await gateway.call(contract.VERIFY_SESSION, Nothing(), meta=Meta(key="hi_no"))).valid is False
        with pytest.raises(Unauthenticated):
            await gateway.call(contract.PROCESS_PROMPT, ProcessPrompt(prompt="hi"), meta=Meta(key="hi_no"))
        meta = Meta(key=running.auth.person("bob", tier="default"))
        await gateway.call(contract.PROCESS_PROMPT, ProcessPrompt(prompt="hi"), meta=meta)
        over = await gateway.call(contract.PROCESS_PROMPT, ProcessPrompt(prompt="hi"), meta=meta)
        assert (over.allowed, over.status, over.message) == (False, 429, "Rate limit exceeded")
        assert over.retry_after is not None
        assert over.rate_limit_info is not None
        assert (over.rate_limit_info.remaining_requests, over.rate_limit_info.max_requests) == (0, 1)
        assert over.rate_limit_info.window_duration_minutes == 1


async def test_registering_over_the_swarm_can_be_opened(tmp_path: Path) -> None:
    async with house(tmp_path, registration__swarm="open") as running, asking(running) as gateway:
        new = contract.Register(email="b@example.com", password=PASSWORD)
        made = await gateway.call(contract.REGISTER, new)
        assert (made.success, made.status, made.email) == (True, 201, "b@example.com")
        again = await gateway.call(contract.REGISTER, new)
        assert (again.success, again.status) == (False, 409)
        missing = await gateway.call(contract.REGISTER, contract.Register(email="c@example.com"))
        assert (missing.success, missing.status) == (False, 400)


async def test_a_stream_begins_with_its_head(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running, asking(running) as gateway:
        chunks: list[bytes] = []

        async def take(more: object) -> None:
            chunks.extend(bytes(chunk) for chunk in more)  # type: ignore[attr-defined]  # a sequence of bytes

        infer = Infer(body=msgspec.Raw(msgspec.json.encode(BODY)))
        reply = await gateway.call(contract.PROCESS_INFERENCE, infer, meta=Meta(key=running.key), sink=take)
        assert msgspec.json.decode(chunks[0], type=contract.Head) == reply.head
        assert len(chunks) == 4
        assert reply.processed.usage.completion_tokens == 3


async def test_what_a_stranger_may_not_do(tmp_path: Path) -> None:
    async with house(tmp_path, FakeInference("m")) as running, asking(running) as gateway:
        with pytest.raises(Forbidden):
            await gateway.call(METRICS, Nothing())
        with pytest.raises(TooLarge):
            await gateway.call(contract.LOGIN, contract.Login(email="a" * 70_000, password="x"))
        async with stranger(running) as peers:
            for name in ("auth", "inference-0"):
                other = PeerCaller(peers, running.running[name].public_key)
                with pytest.raises(PeerUnreachable):
                    await other.call(PROCESS_REQUEST, ProcessRequest(prompt="hi"))


async def test_guessing_over_the_swarm_is_limited(tmp_path: Path) -> None:
    async with house(tmp_path, strangers__per_host_per_minute=2) as running, asking(running) as gateway:
        guess = contract.Login(email="ada@example.com", password="guess")
        statuses = [(await gateway.call(contract.LOGIN, guess)).status for _ in range(4)]
        assert statuses == [401, 401, 429, 429]
