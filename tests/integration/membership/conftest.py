"""Machines of one swarm, each with a home of its own: over one net in memory, or each with a driver on a real DHT."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.membership import Published
from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Net
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm
from hyperinfer.kernel.calls import Call, Caller, Route
from hyperinfer.kernel.compose import Running, running
from hyperinfer.kernel.identity import from_seed, load_or_create
from hyperinfer.kernel.membership import invites, joining
from hyperinfer.kernel.membership.joining import Joining
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.protocol.join_code import JoinCode
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part
from hyperinfer.testing.testnet import local_dht, quick
from hyperinfer.workers.auth.membership import Extra, Membership, Note, membership_on, note_nowhere, nothing_extra

CLOCK = SystemClock()


@dataclass
class Machine:
    """A home, the net of its processes, and what runs there."""

    home: Path
    net: Net
    settings: NetSettings
    contexts: dict[str, Context[WorkerSettings]] = field(default_factory=dict)
    membership: Membership | None = None
    extra: Extra = nothing_extra
    note: Note = note_nowhere
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def folder(self) -> Path:
        return self.home / "data" / "swarm"

    @property
    def office(self) -> Membership:
        assert self.membership is not None
        return self.membership

    def key(self, wtype: str) -> bytes:
        return load_or_create(self.home / "data" / wtype / "identity").public_key

    def members(self, wtype: str) -> member_file.Members:
        return self.contexts[wtype].members

    @asynccontextmanager
    async def runs(self, *wtypes: str) -> AsyncIterator[list[Running]]:
        """Run these workers here, as separate processes of this machine would."""
        parts = [part(self._worker(wtype), home=self.home) for wtype in wtypes]
        for one in parts:
            object.__setattr__(one.loaded, "settings", msgspec.structs.replace(one.settings, net=self.settings))
        if not swarm.follows(self.folder):
            prepare(parts, home=self.home, now=CLOCK.now())
        async with running(parts, home=self.home, net=self.net) as workers:
            yield workers

    def _worker(self, wtype: str) -> WorkerType[WorkerSettings]:
        @asynccontextmanager
        async def opened(context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
            self.contexts[wtype] = context
            if wtype != "auth":
                yield Service(routes=(), announces=(wtype,), open_to_all=wtype == "gateway")
                return
            async with membership_on(context, extra=self.extra, note=self.note) as membership:
                self.membership = membership
                yield Service(
                    routes=[self._counted(one) for one in membership.routes()],
                    announces=("auth",),
                    invited=membership.invited,
                    on_drain=membership.end_watches,
                )

        return WorkerType(name=wtype, settings=WorkerSettings, observe_port=9100, open=opened)

    def _counted(self, one: Route) -> Route:
        async def handler(request: Any, call: Call) -> Any:
            self.asked[one.method.name] += 1
            return await one.handler(request, call)

        return Route(one.method, handler)

    # --- on auth's machine --------------------------------------------------------------------------------

    def invite(self, role: str = "inference", *, lasts: timedelta = timedelta(hours=1), name: str = "") -> JoinCode:
        """A code, as `hyperinfer invite` makes it."""
        invite, seed = invites.create(self.folder, role=role, name=name, lasts=lasts, now=CLOCK.now())
        root = swarm.root_public_key(self.folder)
        assert root is not None
        if self.membership is not None:
            self.membership.invited.refresh()
        return JoinCode(
            role=role,
            expires=invite.expires,
            root_key=root,
            auth_key=self.key("auth"),
            swarm_key=swarm.load(self.folder).key,
            seed=seed.seed,
        )

    def revoke(self, key: bytes) -> None:
        """As the command does it where auth's identity is not at hand."""
        member_file.revoke(self.folder, key, now=CLOCK.now())

    # --- on a machine that joins --------------------------------------------------------------------------

    @asynccontextmanager
    async def peers(self, seed: bytes) -> AsyncIterator[Peers]:
        """Peers of some key pair on this machine."""
        endpoint = await self.net.open(from_seed(seed))
        try:
            async with Peers(endpoint, clock=CLOCK, settings=self.settings) as made:
                yield made
        finally:
            await endpoint.close()

    @asynccontextmanager
    async def invited(self, code: JoinCode) -> AsyncIterator[Peers]:
        """Peers of a code's key pair, connected to auth."""
        async with self.peers(code.seed) as made:

            async def connected() -> bool:
                try:
                    await made.link(code.auth_key)
                except PeerUnreachable:
                    return False
                return True

            await eventually(connected)
            yield made

    async def ask(self, code: JoinCode, *, name: str = "", wait_s: float = 20.0) -> Published:
        """Ask for membership, as `hyperinfer join` does."""
        worker = load_or_create(self.home / "data" / code.role / "identity")
        joining.check(self.folder, code, clock=CLOCK)
        async with self.peers(code.seed) as invited, self.peers(worker.seed) as own:
            one = Joining(code, worker, invited=invited, own=own, clock=CLOCK)
            return await one.join(name=name, say=lambda _: None, wait_s=wait_s)

    async def join(self, code: JoinCode, *, name: str = "") -> None:
        """Join, and keep what was given."""
        joining.keep(self.folder, code, await self.ask(code, name=name))


Machines = Callable[..., Awaitable[Machine]]


class _World:
    """Makes machines on one net."""

    def __init__(self, stack: AsyncExitStack, folder: Path, settings: NetSettings, shared: MemoryNet | None) -> None:
        self._stack = stack
        self._folder = folder
        self._settings = settings
        self._shared = shared

    async def __call__(self, name: str, **more: Any) -> Machine:
        if self._shared is not None:
            return Machine(self._folder / name, self._shared, self._settings, **more)
        net = await self._stack.enter_async_context(hyperswarm(self._settings))
        return Machine(self._folder / name, net, self._settings, **more)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machines]:
    """Makes a machine, all on one net in memory."""
    async with AsyncExitStack() as stack:
        yield _World(stack, tmp_path, quick(NetSettings()), MemoryNet())


@pytest.fixture(params=["memory", "drivers"])
async def any_machine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machines]:
    """Makes a machine, on one net in memory or each with a driver of its own."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield _World(stack, tmp_path, quick(NetSettings()), MemoryNet())
            return
        settings = quick(await stack.enter_async_context(local_dht()))
        yield _World(stack, tmp_path, settings, None)


async def changed(members: member_file.Members, holds: Callable[[], bool], *, timeout_s: float) -> None:
    """Wait until a change of the list makes this hold."""
    event = asyncio.Event()
    members.on_change(event.set)
    async with asyncio.timeout(timeout_s):
        while not holds():
            await event.wait()
            event.clear()
