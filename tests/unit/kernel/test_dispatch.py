"""Dispatch: every method for every role, and what is refused before a handler runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts import (
    audit,
    auth,
    common,
    directory,
    gateway,
    inference,
    logs,
    membership,
    metrics,
    people,
    reports,
    usage,
)
from hyperinfer.contracts.acting import at_auth
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.method import ADMIN, PUBLIC, USER, Meta, Method, Wire, members
from hyperinfer.errors import (
    BadRequest,
    DeadlineExceeded,
    Draining,
    Forbidden,
    HyperinferError,
    InternalError,
    StreamStalled,
    TooLarge,
    Unauthenticated,
    UnknownMethod,
)
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Admission, Link
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel.callers import LocalCaller
from hyperinfer.kernel.calls import Call, Route
from hyperinfer.kernel.dispatch import STRANGER_BYTES, Dispatcher
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.members import ROLES, Members
from hyperinfer.kernel.observation import Observation


class Say(Wire, frozen=True):
    text: str = ""


ECHO = Method("echo", Say, Say, PUBLIC, aliases=("repeat",))
MINE = Method("mine", Say, Say, USER)
RULE = Method("rule", Say, Say, ADMIN)
INSIDE = Method("inside", Say, Say, members("gateway"))
COUNT = Method("count", Say, Say, PUBLIC, streams=True)
WATCH = Method("watch", Say, Say, PUBLIC, quiet=True)
SERVER, CLIENT = from_seed(b"s" * 32), from_seed(b"c" * 32)


async def echo(request: Say, call: Call) -> Say:
    return request


async def authenticate(call: Call) -> Principal:
    role, _, scope = (call.meta.key or "").partition(":")
    if role not in ("user", "admin"):
        raise Unauthenticated("No such key.")
    scopes = (scope,) if scope else None
    return Principal(user_id="1", username=role, email="", role=role, scopes=scopes)


class Server:
    """A dispatcher on a net in memory, with one client."""

    def __init__(self, dispatcher: Dispatcher, peers: Peers, link: Link, registry: CollectorRegistry) -> None:
        self.dispatcher = dispatcher
        self.peers = peers
        self.link = link
        self.registry = registry

    def shown_in_flight(self) -> float | None:
        """What its metrics say of calls under way."""
        return self.registry.get_sample_value("ai_platform_requests_in_flight", {"service": "server"})

    async def call(self, method: Method[Any, Any], text: str = "", *, key: str | None = None, **more: Any) -> Any:
        more.setdefault("timeout_s", 5.0)
        return await self.peers.call(SERVER.public_key, method, Say(text), meta=Meta(key=key), **more)


@asynccontextmanager
async def serving(folder: Path, *routes: Route, role: str | None = None) -> AsyncIterator[Server]:
    if role:
        member_file.add(folder, CLIENT.public_key, roles=[role], name="", now=datetime.now(UTC))
    net, clock, registry = MemoryNet(), SystemClock(), CollectorRegistry()
    dispatcher = Dispatcher(
        members=Members.load(folder),
        clock=clock,
        running=Streams(stall_timeout_s=0.2),
        own_key=SERVER.public_key,
        observation=Observation("server", registry=registry),
    )
    dispatcher.serve(routes, authenticate)
    endpoint = await net.open(SERVER)
    await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(everyone=True))
    async with Peers(await net.open(CLIENT), clock=clock, settings=NetSettings()) as peers:
        yield Server(dispatcher, peers, await peers.link(SERVER.public_key), registry)


async def refusal(work: Any) -> HyperinferError:
    with pytest.raises(HyperinferError) as caught:
        await work
    return caught.value


PASSED_ON = (*people.PASSED_ON, *usage.PASSED_ON, *audit.PASSED_ON)
CONTRACTS: dict[str, tuple[Method[Any, Any], ...]] = {
    "common": (*common.METHODS, logs.READ_LOGS),
    "gateway": (*gateway.METHODS, *PASSED_ON, people.RESET_PASSWORD, usage.GET_QUOTA, *metrics.PASSED_ON),
    "auth": (
        *auth.METHODS,
        *directory.METHODS,
        usage.RECORD_USAGE,
        audit.NOTE_OPERATION,
        *(at_auth(one) for one in PASSED_ON),
    ),
    "reports": (reports.SUM_USAGE, *reports.PASSED_ON, *(metrics.at_metrics(one) for one in reports.PASSED_ON)),
    "membership": membership.METHODS,
    "inference": inference.METHODS,
    "metrics": (metrics.RECORD_METRIC, *(metrics.at_metrics(one) for one in metrics.PASSED_ON)),
}
ALL = [pytest.param(method, id=f"{where}.{method.name}") for where, methods in CONTRACTS.items() for method in methods]
OF_PEOPLE = [
    pytest.param(method, id=method.name) for method in CONTRACTS["gateway"] if method.access.kind in ("user", "admin")
]


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("role", [None, *sorted(ROLES)])
async def test_every_method_and_role(tmp_path: Path, method: Method[Any, Any], role: str | None) -> None:
    """A call gets as far as its handler only where the contract says so."""
    reached: list[Call] = []

    async def handler(request: Any, call: Call) -> Any:
        reached.append(call)
        raise BadRequest("reached")

    async with serving(tmp_path, Route(method, handler), role=role) as server:
        for credential in (None, "user", "admin"):
            meta = {"key": credential} if credential else {}
            request = msgspec.json.encode({"data": {}, "meta": meta})
            for name in method.names:
                await server.link.request(name, request, timeout_s=5)
            allowed = {
                "public": True,
                "user": credential is not None,
                "admin": credential == "admin",
                "members": role in method.access.roles,
                "invited": False,  # nobody here has been invited
            }[method.access.kind]
            # A request that lacks required fields is refused by its form, after access and before the handler.
            complete = _is_complete(method)
            assert len(reached) == (len(method.names) if allowed and complete else 0)
            reached.clear()


def _is_complete(method: Method[Any, Any]) -> bool:
    try:
        msgspec.convert({}, method.request)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("method", OF_PEOPLE)
async def test_every_method_and_scope(tmp_path: Path, method: Method[Any, Any]) -> None:
    """An API key gets as far as the handler only with the scope that the contract names; none has that of a session."""
    reached: list[Call] = []

    async def handler(request: Any, call: Call) -> Any:
        reached.append(call)
        raise BadRequest("reached")

    async with serving(tmp_path, Route(method, handler)) as server:
        for scope in people.SCOPES:
            request = msgspec.json.encode({"data": {}, "meta": {"key": f"admin:{scope}"}})
            reply = await server.link.request(method.name, request, timeout_s=5)
            allowed = scope == method.access.scope
            assert bool(reached) == (allowed and _is_complete(method))
            assert allowed or b"FORBIDDEN" in reply
            reached.clear()


async def test_a_member_of_another_role_is_refused_by_name(tmp_path: Path) -> None:
    async with serving(tmp_path, Route(INSIDE, echo), role="inference") as server:
        error = await refusal(server.call(INSIDE, "x"))
        assert isinstance(error, Forbidden)
        assert "gateway" in error.message


async def test_access_is_checked_inside_the_process_too(tmp_path: Path) -> None:
    async with serving(tmp_path, Route(INSIDE, echo), Route(MINE, echo)) as server:
        own = LocalCaller(server.dispatcher, SERVER.public_key)
        assert isinstance(await refusal(own.call(INSIDE, Say("x"))), Forbidden)
        assert isinstance(await refusal(own.call(MINE, Say("x"))), Unauthenticated)
        assert await own.call(MINE, Say("x"), meta=Meta(key="user")) == Say("x")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"{", BadRequest),
        (b'{"data": {"text": ' + b"[" * 20_000, BadRequest),
        (b"\xff\xfe", BadRequest),
        (b"[]", BadRequest),
        (b'{"data": {"text": 1}}', BadRequest),
        (b'{"data": {"text": "\xff"}}', BadRequest),
        (b'{"data": {}, "meta": 3}', BadRequest),
        (b'{"data": {}, "meta": {"deadlineMs": 0}}', DeadlineExceeded),
        (b'{"data": {}, "stream": true}', BadRequest),
        (b'{"data": {"text": "%b"}}' % (b"x" * STRANGER_BYTES), TooLarge),
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, payload: bytes, kind: type[HyperinferError]) -> None:
    async with serving(tmp_path, Route(ECHO, echo)) as server:
        reply = await server.link.request("echo", payload, timeout_s=5)
        assert msgspec.json.decode(reply).startswith(f"[HRPC_ERR]={kind.code}: ")


@pytest.mark.parametrize("payload", [b"", b"null", b"{}"])
async def test_nothing_may_be_said_in_several_ways(tmp_path: Path, payload: bytes) -> None:
    async with serving(tmp_path, Route(ECHO, echo)) as server:
        assert await server.link.request("echo", payload, timeout_s=5) == b"{}"


async def test_the_bare_form_and_the_aliases_are_understood(tmp_path: Path) -> None:
    async with serving(tmp_path, Route(ECHO, echo)) as server:
        assert await server.link.request("repeat", b'{"text": "hi", "meta": {}}', timeout_s=5) == b'{"text":"hi"}'


async def test_an_unknown_method_and_a_fault_of_ours(tmp_path: Path) -> None:
    async def fail(request: Say, call: Call) -> Say:
        raise ZeroDivisionError("planted secret")

    async with serving(tmp_path, Route(ECHO, fail)) as server:
        assert isinstance(await refusal(server.call(MINE, "x", key="user")), UnknownMethod)
        error = await refusal(server.call(ECHO, "x"))
        assert isinstance(error, InternalError)
        assert "planted" not in error.message


async def test_a_deadline_cancels_the_handler(tmp_path: Path) -> None:
    cancelled = asyncio.Event()

    async def hang(request: Say, call: Call) -> Say:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return request

    async with serving(tmp_path, Route(ECHO, hang)) as server:
        assert isinstance(await refusal(server.call(ECHO, "x", timeout_s=0.05)), DeadlineExceeded)
        await asyncio.wait_for(cancelled.wait(), 5)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_call_stops_its_handler(tmp_path: Path, streamed: bool) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(request: Say, call: Call) -> Say:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return request

    async def sink(chunks: Any) -> None:
        pass

    async with serving(tmp_path, Route(COUNT, hang)) as server:
        task = asyncio.create_task(server.call(COUNT, "x", sink=sink if streamed else None))
        await started.wait()
        task.cancel()
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("method", ["count", "mine"])
async def test_a_cancellation_right_behind_its_call_reaches_it(tmp_path: Path, turns: int, method: str) -> None:
    """It may come in the same packet, before the call has begun, or while it is looked at whose it is."""

    async def hang(request: Say, call: Call) -> Say:
        await asyncio.Event().wait()
        return request

    async def slow(call: Call) -> Principal:
        await asyncio.Event().wait()
        raise Unauthenticated("nobody")

    payload = msgspec.json.encode(
        {"data": {"text": "x"}, "meta": {"key": "user"}, "id": 7, "stream": True, "window": 1}
    )
    async with serving(tmp_path) as server:
        server.dispatcher.serve((Route(COUNT, hang), Route(MINE, hang)), slow)
        answer = asyncio.create_task(server.dispatcher.on_request(server.link, method, payload))
        for _ in range(turns):
            await asyncio.sleep(0)
        server.dispatcher.on_event(server.link, f"{method}.cancel", b'{"id":7}')
        assert b"CANCELLED" in await asyncio.wait_for(answer, 5)
        assert not server.dispatcher.in_flight


async def count(request: Say, call: Call) -> Say:
    for number in range(int(request.text)):
        await call.stream([b"%d" % number])
    return Say("done")


async def test_a_stream_arrives_whole_and_in_order(tmp_path: Path) -> None:
    got: list[bytes] = []

    async def sink(chunks: Any) -> None:
        got.extend(chunks)
        await asyncio.sleep(0)

    async with serving(tmp_path, Route(COUNT, count)) as server:
        assert await server.call(COUNT, "1000", sink=sink) == Say("done")
    assert got == [b"%d" % number for number in range(1000)]


async def test_a_failing_sink_stops_the_stream(tmp_path: Path) -> None:
    async def sink(chunks: Any) -> None:
        raise BadRequest("the browser has gone")

    async with serving(tmp_path, Route(COUNT, count)) as server:
        assert "browser" in (await refusal(server.call(COUNT, "100000", sink=sink))).message


async def test_a_stalled_reader_ends_its_own_stream_only(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def stall(chunks: Any) -> None:
        await release.wait()

    async def sink(chunks: Any) -> None:
        pass

    async with serving(tmp_path, Route(COUNT, count)) as server:
        stalled = asyncio.create_task(refusal(server.call(COUNT, "100000", sink=stall)))
        await asyncio.sleep(0)
        assert await server.call(COUNT, "1000", sink=sink) == Say("done")
        assert await server.dispatcher.drain(5)
        release.set()
        assert isinstance(await stalled, StreamStalled)


async def test_draining_refuses_new_calls_and_waits_for_old_ones(tmp_path: Path) -> None:
    release, started = asyncio.Event(), asyncio.Event()

    async def wait(request: Say, call: Call) -> Say:
        started.set()
        await release.wait()
        return request

    async with serving(tmp_path, Route(ECHO, wait)) as server:
        running = asyncio.create_task(server.call(ECHO, "old"))
        await started.wait()
        assert not await server.dispatcher.drain(0.01)
        assert isinstance(await refusal(server.call(ECHO, "new")), Draining)
        release.set()
        assert await server.dispatcher.drain(5)
        assert await running == Say("old")


async def test_calls_that_machines_keep_open_hold_up_a_drain_and_are_not_shown_as_under_way(tmp_path: Path) -> None:
    release, started = asyncio.Event(), asyncio.Event()

    async def wait(request: Say, call: Call) -> Say:
        started.set()
        await release.wait()
        return request

    async with serving(tmp_path, Route(WATCH, wait), Route(ECHO, wait)) as server:
        watching = asyncio.create_task(server.call(WATCH, "kept open"))
        await started.wait()
        assert (server.dispatcher.in_flight, server.shown_in_flight()) == (1, 0)
        started.clear()
        asking = asyncio.create_task(server.call(ECHO, "asked"))
        await started.wait()
        assert (server.dispatcher.in_flight, server.shown_in_flight()) == (2, 1)
        assert not await server.dispatcher.drain(0.01)
        release.set()
        assert await server.dispatcher.drain(5)
        assert [await watching, await asking] == [Say("kept open"), Say("asked")]
        assert (server.dispatcher.in_flight, server.shown_in_flight()) == (0, 0)
