"""The client worker: a link to a gateway elsewhere, and its whole HTTP surface in front of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from hyperinfer.edge.app import DIALECTS, create_app
from hyperinfer.edge.platform import inference, original
from hyperinfer.errors import BadRequest, ConfigError, StartError
from hyperinfer.facilities.http import serving
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.certificate_meters import CertificateMeters
from hyperinfer.kernel.gateways import LinkedGateway, OwnSwarm, Place
from hyperinfer.kernel.http import is_local, listen_of
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.protocol import links
from hyperinfer.workers.client.bridge import Bridge
from hyperinfer.workers.client.config import ClientSettings
from hyperinfer.workers.client.lending import Lend, Lending
from hyperinfer.workers.client.meters import Meters
from hyperinfer.workers.client.reach import Reach, Tell, nobody

Lender = Callable[[str], Lend]
"""Who lends what the profile holds for the gateway of a link. Raises `StartError` where it holds nothing."""

NO_GATEWAY = (
    "This machine belongs to no swarm, and no gateway is named. `hyperinfer link` on the gateway's machine prints its link: "
    "give it as --gateway LINK, or as the setting `gateway`."
)
SOCKET = "/ws"


def _nothing_to_lend(link: str) -> Lend:
    raise StartError("use_local_session lends what your profile holds, and there is none here.")


@asynccontextmanager
async def open_client(
    context: Context[ClientSettings], own: Caller, lender: Lender, tell: Tell
) -> AsyncIterator[Service]:
    """Run a bridge: keep a link to the gateway, serve HTTP."""
    settings = context.settings
    meters = Meters(context.registry)
    gateway = LinkedGateway(_place(context), peers=context.peers, clock=context.clock, wait_s=settings.wait_s)
    bridge = Bridge(gateway, own, observation=context.observation, registry=context.registry)
    local = is_local(settings.http)
    app = create_app(
        bridge,
        settings.http,
        request_timeout_s=settings.request_timeout_s,
        metrics=local,
        observation=context.observation,
    )
    if settings.use_local_session:
        app = _lending(app, settings, lender)
    listen = listen_of(settings.http, drain_s=settings.drain_s)
    CertificateMeters(listen, clock=context.clock, registry=context.registry)
    reach = Reach(gateway, clock=context.clock, meters=meters, log=context.log, tell=tell)
    async with (
        background(reach.run(), name="reach"),
        serving(app, listen) as url,
    ):
        yield Service(
            routes=(),
            not_ready=lambda: [gateway.trouble] if gateway.trouble else [],
            on_drain=bridge.stop,
            addresses={"http": url},
        )


def _place(context: Context[ClientSettings]) -> Place:
    """Where the gateway is to be looked for."""
    link = context.settings.gateway
    if not link:
        if not swarms.exists(context.paths.swarm):
            raise StartError(NO_GATEWAY)
        return OwnSwarm(context.swarm, context.members)
    try:
        return links.parse(link)
    except BadRequest as error:
        raise ConfigError(f"gateway: {error.message}", path="gateway") from error


def _lending(app: ASGIApp, settings: ClientSettings, lender: Lender) -> ASGIApp:
    if not is_local(settings.http):
        raise StartError(
            f"use_local_session would lend your credential to whoever reaches {settings.http.host}. It goes with "
            "http.host=127.0.0.1 alone."
        )
    paths = {path for dialect in DIALECTS for path in dialect.paths} | {inference.PATH, original.INFERENCE, SOCKET}
    return Lending(app, lender(settings.gateway), paths=paths)


def client(*, lender: Lender = _nothing_to_lend, tell: Tell = nobody) -> WorkerType[ClientSettings]:
    """The worker type, with who lends credentials, and who is told when the gateway goes and comes."""
    return WorkerType(
        name="client",
        settings=ClientSettings,
        observe_port=9103,
        open=partial(open_client, lender=lender, tell=tell),
        outsider=True,
    )


WORKER = client()
