"""A fake gateway as clients reach it: by HTTP, or by its link over the swarm."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hyperinfer import AsyncClient, Client
from hyperinfer.contracts import audit, gateway, metrics, people, reports, usage
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.method import Method, Reply, Request
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Admission, Net
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.members import Members
from hyperinfer.protocol.links import GatewayLink
from hyperinfer.sdk.carriers import Carrier
from hyperinfer.sdk.carriers.kept import Kept
from hyperinfer.sdk.carriers.swarm import Swarm
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.testing.testnet import local_dht

T = TypeVar("T")

IDENTITY = from_seed(b"g" * 32)
LINK = str(GatewayLink(IDENTITY.public_key))
METHODS: tuple[Method[Any, Any], ...] = (
    *gateway.METHODS,
    *people.PASSED_ON,
    people.RESET_PASSWORD,
    *usage.PASSED_ON,
    usage.GET_QUOTA,
    *audit.PASSED_ON,
    *metrics.PASSED_ON,
    *reports.PASSED_ON,
)


@dataclass(frozen=True)
class Way:
    """A way to one fake gateway; each client has a carrier of its own."""

    address: str
    carrier: Callable[[], Carrier | None] = lambda: None

    def client(self, *, api_key: str = "k", **options: Any) -> AsyncClient:
        """A client on it."""
        return AsyncClient(self.address, api_key=api_key, carrier=self.carrier(), **options)

    def blocking(self, *, api_key: str = "k", **options: Any) -> Client:
        """A client without asyncio."""
        return Client(self.address, api_key=api_key, carrier=self.carrier(), **options)


Reach = Callable[[FakeGateway], AbstractContextManager[Way]]


@contextmanager
def by_http(fake: FakeGateway) -> Iterator[Way]:
    """Over a socket."""
    with served(fake) as url:
        yield Way(url)


@contextmanager
def one_server() -> Iterator[Reach]:
    """The same with one server for all, one after the other: to start one takes longer than most tests."""
    present = _Present()

    @contextmanager
    def by_it(fake: FakeGateway) -> Iterator[Way]:
        present.gateway = fake
        yield Way(url)

    with served(present) as url:
        yield by_it


class _Present(FakeGateway):
    """Passes every call on to the gateway that is it now."""

    gateway: FakeGateway

    async def call(self, method: Method[Request, Reply], request: Request, **options: Any) -> Reply:
        """Answer as it does."""
        return await self.gateway.call(method, request, **options)


@contextmanager
def by_swarm(fake: FakeGateway) -> Iterator[Way]:
    """Over the net inside the process."""

    @asynccontextmanager
    async def net(settings: NetSettings, say: Callable[[str], None]) -> AsyncIterator[Net]:
        memory = MemoryNet()
        async with listening(fake, memory):
            yield memory

    yield Way(LINK, lambda: Swarm(LINK, wait_s=2.0, settings=NetSettings(), open_net=net))


@contextmanager
def drivers() -> Iterator[Reach]:
    """Across two drivers, by a DHT on loopback: gives a way that may be gone as often as wanted."""
    thread = LoopThread()
    try:
        with _entered(thread, local_dht()) as settings, _entered(thread, hyperswarm(settings)) as net:

            @contextmanager
            def by_drivers(fake: FakeGateway) -> Iterator[Way]:
                with _entered(thread, listening(fake, net)):
                    yield Way(LINK, lambda: Swarm(LINK, wait_s=5.0, settings=settings))

            yield by_drivers
    finally:
        thread.close()


@contextmanager
def _entered(thread: LoopThread, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A block of another thread's event loop, kept open by one task of it."""
    kept = Kept(lambda: block, name="block")
    value = thread.run(kept.open())
    try:
        yield value
    finally:
        thread.run(kept.close())


@asynccontextmanager
async def listening(fake: FakeGateway, net: Net) -> AsyncIterator[None]:
    """A fake gateway on a net, for anybody who knows its key; every credential is an administrator's."""
    dispatcher = Dispatcher(
        members=Members(Path("/nowhere")),
        clock=SystemClock(),
        running=Streams(stall_timeout_s=5.0),
        own_key=IDENTITY.public_key,
    )
    dispatcher.serve([_route(fake, method) for method in METHODS], _admitted)
    endpoint = await net.open(IDENTITY)
    await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(everyone=True))
    try:
        yield
    finally:
        await endpoint.close()


def _route(fake: FakeGateway, method: Method[Any, Any]) -> Route:
    async def handler(request: Any, call: Call) -> Any:
        return await fake.call(method, request, meta=call.meta, sink=call.send)

    return route(method, handler)


async def _admitted(call: Call) -> Principal:
    return Principal(user_id="u", username="ada", email="ada@example.com", role="admin", tier="default")
