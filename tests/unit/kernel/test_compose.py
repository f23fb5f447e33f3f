"""Running workers: start order, stop order, refusals at start, drain, status file and the worker's own port."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts.common import HEALTH, PING
from hyperinfer.contracts.method import Method, Nothing, members
from hyperinfer.errors import ConfigError, IdentityError, PeerUnreachable, StartError
from hyperinfer.facilities import labels
from hyperinfer.kernel import status
from hyperinfer.kernel.calls import Call, Caller, route
from hyperinfer.kernel.compose import net_settings
from hyperinfer.kernel.process_meters import PROCESS_ID
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.testing.swarm import part, swarm

WORK = Method("work", Nothing, Nothing, members("gateway"))


class Diary:
    """What workers did, in order; a worker named in `broken` fails to start."""

    def __init__(self, *broken: str) -> None:
        self.lines: list[str] = []
        self.broken = broken
        self.contexts: dict[str, Context[Any]] = {}
        self.began = asyncio.Event()
        self.release = asyncio.Event()
        self.release.set()
        self.on_drain: Callable[[], None] = lambda: None

    def worker(self, name: str) -> WorkerType[WorkerSettings]:
        @asynccontextmanager
        async def opened(context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
            if name in self.broken:
                raise StartError(f"{name} is broken.")
            self.contexts[name] = context
            self.lines.append(f"{name} starts")
            try:
                yield Service(routes=[route(WORK, self.work)], announces=(name,), on_drain=lambda: self.note(name))
            finally:
                self.lines.append(f"{name} stops")

        return WorkerType(name=name, settings=WorkerSettings, observe_port=9100, open=opened)

    def note(self, name: str) -> None:
        self.lines.append(f"{name} drains")
        self.on_drain()

    async def work(self, request: Nothing, call: Call) -> Nothing:
        self.lines.append("work begins")
        self.began.set()
        await self.release.wait()
        self.lines.append("work ends")
        return request


async def test_workers_start_in_order_find_each_other_and_stop_in_reverse(tmp_path: Path) -> None:
    diary = Diary()
    parts = [part(diary.worker(name), home=tmp_path) for name in ("auth", "gateway")]
    async with swarm(parts, home=tmp_path) as running:
        pong = await diary.contexts["gateway"].service("auth").call(PING, Nothing())
        assert pong.service == "auth"
        health = await running["auth"].own.call(HEALTH, Nothing())
        assert health.status == "ready"
        assert {one.name for one in status.read_all(tmp_path / "status")} == {"auth", "gateway"}
        shown = json.loads((tmp_path / "status" / "auth.json").read_text())
        assert shown["publicKey"] == running["auth"].public_key.hex()
        assert shown["addresses"] == running["auth"].addresses
        assert labels.CURRENT.get().worker == "", "what is said here is the process's own"
    assert diary.lines == [
        *("auth starts", "gateway starts"),
        *("gateway drains", "gateway stops", "auth drains", "auth stops"),
    ]
    assert not list((tmp_path / "status").glob("*.json"))


async def test_a_worker_that_cannot_start_has_the_others_stopped(tmp_path: Path) -> None:
    diary = Diary("gateway")
    parts = [part(diary.worker(name), home=tmp_path) for name in ("auth", "gateway")]
    with pytest.raises(StartError, match=r"gateway is broken\."):
        async with swarm(parts, home=tmp_path):
            raise AssertionError("it started")
    assert diary.lines == ["auth starts", "auth stops"]


async def test_running_calls_end_before_a_worker_stops(tmp_path: Path) -> None:
    diary = Diary()
    diary.release.clear()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(swarm([part(diary.worker("gateway"), home=tmp_path)], home=tmp_path))
        call = asyncio.create_task(running["gateway"].own.call(WORK, Nothing()))
        await diary.began.wait()
        diary.on_drain = diary.release.set
    await call
    assert diary.lines == ["gateway starts", "work begins", "gateway drains", "work ends", "gateway stops"]


async def test_a_worker_has_a_port_of_its_own(tmp_path: Path) -> None:
    diary = Diary()
    async with swarm([part(diary.worker("auth"), home=tmp_path)], home=tmp_path) as running:
        base = running["auth"].addresses["observe"]
        async with aiohttp.ClientSession() as http:
            for path, body in (("/healthz", "alive"), ("/readyz", "ready"), ("/metrics", "")):
                async with http.get(base + path) as answer:
                    assert answer.status == 200
                    assert body in await answer.text()


async def test_a_second_worker_on_the_same_data_is_refused(tmp_path: Path) -> None:
    diary = Diary()
    async with swarm([part(diary.worker("auth"), home=tmp_path)], home=tmp_path):
        with pytest.raises(StartError, match="--rack"):
            async with swarm([part(diary.worker("auth"), home=tmp_path)], home=tmp_path):
                raise AssertionError("it started")
        async with swarm([part(diary.worker("auth"), home=tmp_path, rack="b")], home=tmp_path) as racked:
            assert set(racked) == {"auth-b"}


async def test_a_damaged_identity_stops_the_start(tmp_path: Path) -> None:
    diary = Diary()
    async with swarm([part(diary.worker("auth"), home=tmp_path)], home=tmp_path):
        pass
    (tmp_path / "data" / "auth" / "identity").write_bytes(b"gone")
    with pytest.raises(IdentityError):
        async with swarm([part(diary.worker("auth"), home=tmp_path)], home=tmp_path):
            raise AssertionError("it started")


async def test_nobody_is_found_where_nobody_is_trusted(tmp_path: Path) -> None:
    """A worker that announces a name without the role is passed over."""
    diary = Diary()
    parts = [part(diary.worker(name), home=tmp_path) for name in ("auth", "gateway")]
    async with swarm(parts, home=tmp_path):
        context = diary.contexts["gateway"]
        (tmp_path / "data" / "swarm" / "members.json").write_text('{"members": []}')
        assert context.members.refresh()
        with pytest.raises(PeerUnreachable, match="No auth worker"):
            await context.service("auth").call(PING, Nothing())


def test_workers_of_one_process_share_one_net(tmp_path: Path) -> None:
    diary = Diary()
    parts = [
        part(diary.worker("auth"), home=tmp_path),
        part(diary.worker("gateway"), home=tmp_path, net__heartbeat_s=9.0),
    ]
    with pytest.raises(ConfigError, match=r"config/common\.json"):
        net_settings(parts)


async def test_workers_of_one_process_say_so(tmp_path: Path) -> None:
    diary = Diary()
    parts = [part(diary.worker(name), home=tmp_path) for name in ("auth", "gateway")]
    async with swarm(parts, home=tmp_path) as workers:
        told = [await worker.own.call(HEALTH, Nothing()) for worker in workers.values()]
        shown = [context.registry.get_sample_value("process_start_time_seconds") for context in diary.contexts.values()]
    assert {health.process for health in told} == {PROCESS_ID}
    assert None not in shown
    assert len(set(shown)) == 1
