"""Run workers in this process: one net, and each worker from identity to announcement, unwound in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from hyperinfer import __version__
from hyperinfer.contracts.common import HEALTH, LINKS, METRICS, PING
from hyperinfer.contracts.logs import READ_LOGS
from hyperinfer.contracts.membership import INTRODUCE
from hyperinfer.errors import ConfigError, HyperinferError
from hyperinfer.facilities import log as logs
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.net import Admission, Endpoint, Identity, Net
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.facilities.tasks import background
from hyperinfer.facilities.tracing import INSTANCE_CHARS, Tracer
from hyperinfer.facilities.tracing.export import exporting
from hyperinfer.kernel import identity as identities
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.base_methods import BaseMethods
from hyperinfer.kernel.callers import LocalCaller, PeerCaller, ServiceCaller
from hyperinfer.kernel.calls import Caller, route
from hyperinfer.kernel.config import Loaded
from hyperinfer.kernel.disk_meters import DiskMeters
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.link_meters import LinkMeters
from hyperinfer.kernel.links import LinkTable
from hyperinfer.kernel.log_reading import LogReading
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership.follower import Follower
from hyperinfer.kernel.membership.introduction import Introducing
from hyperinfer.kernel.observation import Observation, tell_nobody
from hyperinfer.kernel.observe import observed
from hyperinfer.kernel.paths import locked, paths_of
from hyperinfer.kernel.process_meters import ProcessMeters, measuring
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.status import StatusFile
from hyperinfer.kernel.worker import Context, Service, WorkerType

log = structlog.get_logger(__name__)

WITHDRAW_S = 3.0
"""How long a stopping worker waits for its announcements to be withdrawn."""


@dataclass(frozen=True, slots=True)
class Part:
    """One worker of a process: its type, its settings, and its rack if several of the type share the machine."""

    worker: WorkerType[Any]
    loaded: Loaded[Any]
    rack: str | None = None

    @property
    def settings(self) -> WorkerSettings:
        """The settings in force."""
        settings: WorkerSettings = self.loaded.settings
        return settings


@dataclass(frozen=True, slots=True)
class Running:
    """A worker that runs: its key, the URLs it serves by name, its own contract, and why it is not ready, if so."""

    wtype: str
    name: str
    public_key: bytes
    addresses: dict[str, str]
    own: Caller
    not_ready: Callable[[], Sequence[str]]


def net_settings(parts: Sequence[Part]) -> NetSettings:
    """The net settings of a process: those of its workers, which must agree, for there is one net."""
    first = parts[0]
    for part in parts[1:]:
        if part.settings.net != first.settings.net:
            raise ConfigError(
                f"The net settings of {part.worker.name} differ from those of {first.worker.name}; workers of one "
                "process share one net. Set them once, in config/common.json or by HYPERINFER_COMMON__NET__…"
            )
    return first.settings.net


@asynccontextmanager
async def running(
    parts: Sequence[Part], *, home: Path, net: Net, clock: Clock | None = None, process: ProcessMeters | None = None
) -> AsyncIterator[list[Running]]:
    """Run workers over a net, in the order given; leaving stops them in reverse, each drained first. A process that runs workers by
    several calls is measured once, and gives that as `process`.

    Raises what stops a worker from starting, everything already started having been stopped.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if process is None:
            process = await stack.enter_async_context(measuring(clock))
        yield [await stack.enter_async_context(_one(part, home, net, clock, process)) for part in parts]


@asynccontextmanager
async def _one(part: Part, home: Path, net: Net, clock: Clock, process: ProcessMeters) -> AsyncIterator[Running]:
    paths = paths_of(part.worker.name, part.settings, home=home, rack=part.rack)
    with locked(paths), logs.joined(paths.name):
        identity = identities.load_or_create(paths.identity)
        in_swarm = swarms.exists(paths.swarm) or not part.worker.outsider
        swarm = swarms.load(paths.swarm) if in_swarm else swarms.nobodys()
        members = Members.load(paths.swarm)
        registry = CollectorRegistry()
        registry.register(process)
        registry.register(DiskMeters(paths.data))
        async with (
            background(members.follow(clock), name=f"{paths.name}: members"),
            _opened(net, identity) as endpoint,
            Peers(endpoint, clock=clock, settings=part.settings.net) as peers,
            _tracing(part, identity, registry) as tracer,
        ):
            running_calls = Streams(stall_timeout_s=part.settings.net.stall_timeout_s)
            observation = Observation(
                part.worker.name,
                registry=registry,
                worker=paths.name,
                tracer=tracer,
                tell=logs.tell if part.settings.log.requests else tell_nobody,
            )
            dispatcher = Dispatcher(
                members=members,
                clock=clock,
                running=running_calls,
                own_key=identity.public_key,
                observation=observation,
            )
            own = LocalCaller(dispatcher, identity.public_key)

            def service(name: str) -> Caller:
                return ServiceCaller(name, peers=peers, members=members, swarm=swarm)

            context = Context(
                wtype=part.worker.name,
                settings=part.settings,
                identity=identity,
                paths=paths,
                peers=peers,
                members=members,
                swarm=swarm,
                clock=clock,
                registry=registry,
                observation=observation,
                tracer=tracer,
                log=structlog.get_logger(paths.name, worker=paths.name),
                service=service,
                peer=lambda key: PeerCaller(peers, key),
            )
            async with (
                _following(context, part.worker),
                part.worker.open(context, own) as opened,
                _serving(part, context, opened, dispatcher, endpoint, net) as addresses,
            ):
                worker = Running(
                    wtype=part.worker.name,
                    name=paths.name,
                    public_key=identity.public_key,
                    addresses=addresses,
                    own=own,
                    not_ready=opened.not_ready,
                )
                with logs.apart():
                    yield worker


@asynccontextmanager
async def _serving(
    part: Part, context: Context[Any], service: Service, dispatcher: Dispatcher, endpoint: Endpoint, net: Net
) -> AsyncIterator[dict[str, str]]:
    """Answer calls, be observable and be found; on leaving be found no more, then drain."""
    links = LinkTable(
        endpoint,
        peers=context.peers,
        members=context.members,
        swarm=context.swarm,
        clock=context.clock,
        net=net.status,
    )
    context.registry.register(LinkMeters(links))
    base = BaseMethods(
        context.wtype,
        service,
        dispatcher=dispatcher,
        registry=context.registry,
        clock=context.clock,
        net=net.status,
        links=links,
    )
    members, invited = context.members, service.invited
    reading = LogReading(context.paths.name)
    introducing = Introducing(members, context.identity.public_key)
    common = (
        route(PING, base.ping),
        route(HEALTH, base.health),
        route(METRICS, base.metrics),
        route(LINKS, base.links),
        route(READ_LOGS, reading.read),
        route(INTRODUCE, introducing.introduce),
    )
    changed = asyncio.Event()
    members.on_change(changed.set)
    if invited is not None:
        invited.on_change(changed.set)

    def may_join() -> frozenset[bytes]:
        return invited.keys if invited is not None else frozenset()

    def admission() -> Admission:
        return Admission(keys=members.keys | may_join(), everyone=service.open_to_all)

    dispatcher.serve((*service.routes, *common), service.authenticate, invited=may_join)
    if members.keys or not part.worker.outsider:  # otherwise there is nobody who might call
        await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=admission())
    async with (
        background(_keep_admitting(endpoint, context, changed, admission), name=f"{context.paths.name}: admission"),
        background(links.run(), name=f"{context.paths.name}: links"),
        observed(part.settings.observe, part.worker.observe_port, base) as observe,
    ):
        addresses = {**service.addresses, **observe}
        with StatusFile.of(context, addresses) as status:
            async with _announced(endpoint, _topics(context, service)):
                if not (part.worker.outsider or members.roles(context.identity.public_key)):
                    do = f"run `hyperinfer invite --role {context.wtype}` on auth's machine, `hyperinfer join` here"
                    context.log.warning("no_member", do=do)
                context.log.info("worker_running", key=context.identity.public_key.hex(), **addresses)
                service.on_serving()
                yield addresses
            status.say("draining")
            service.on_drain()
            reading.end()
            if not await dispatcher.drain(part.settings.drain_s):
                context.log.warning("drain_deadline_passed", calls_cut=dispatcher.in_flight)
        context.log.info("worker_stopped")


def _tracing(part: Part, identity: Identity, registry: CollectorRegistry) -> AbstractAsyncContextManager[Tracer | None]:
    """Where this worker's spans go. Of the machine they tell nothing: the key's beginning is what it is known by."""
    settings = part.settings.tracing
    resource = {
        "service.name": f"{settings.service_name}-{part.worker.name}",
        "service.instance.id": identity.public_key.hex()[:INSTANCE_CHARS],
        "service.version": __version__,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "hyperinfer",
    }
    return exporting(settings, resource, version=__version__, registry=registry)


def _topics(context: Context[Any], service: Service) -> list[bytes]:
    topics = [context.swarm.topic(name) for name in service.announces]
    if context.settings.net.announce_plain:
        topics += [context.swarm.plain_topic(name) for name in service.announces]
    return topics


async def _keep_admitting(
    endpoint: Endpoint, context: Context[Any], changed: asyncio.Event, admission: Callable[[], Admission]
) -> None:
    """Admit whoever may connect as that changes; of members that are none any more, the links that we made end too."""
    known = context.members.keys
    while True:
        await changed.wait()
        changed.clear()
        for key in known - context.members.keys:
            context.peers.forget(key)
        known = context.members.keys
        await endpoint.admit(admission())


@asynccontextmanager
async def _following(context: Context[Any], worker: WorkerType[Any]) -> AsyncIterator[None]:
    """On a machine that joined, keep the member list as auth says it; auth tells members alone."""
    is_told = not worker.outsider or context.members.roles(context.identity.public_key)
    if not swarms.follows(context.paths.swarm) or not is_told:
        yield
        return
    follower = Follower(
        context.paths.swarm, peers=context.peers, members=context.members, swarm=context.swarm, clock=context.clock
    )
    async with background(follower.run(), name=f"{context.paths.name}: following auth"):
        yield


@asynccontextmanager
async def _opened(net: Net, identity: Identity) -> AsyncIterator[Endpoint]:
    endpoint = await net.open(identity)
    try:
        yield endpoint
    finally:
        await endpoint.close()


@asynccontextmanager
async def _announced(endpoint: Endpoint, topics: Sequence[bytes]) -> AsyncIterator[None]:
    for topic in topics:
        await endpoint.announce(topic)
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(WITHDRAW_S):
                for topic in topics:
                    await endpoint.withdraw(topic)
        except (TimeoutError, HyperinferError) as error:
            # Records die out by themselves within minutes; a stop is never held up by them.
            log.warning("announcements_not_withdrawn", reason=getattr(error, "message", "no answer in time"))
