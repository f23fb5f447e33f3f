"""The gateway worker: its parts and how they are put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from hyperinfer.edge.app import create_app
from hyperinfer.facilities.http import serving
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.certificate_meters import CertificateMeters
from hyperinfer.kernel.http import is_local, listen_of
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.gateway.accounting import Accounting
from hyperinfer.workers.gateway.accounts import Accounts
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.catalogue import Catalogue
from hyperinfer.workers.gateway.config import GatewaySettings
from hyperinfer.workers.gateway.counting import Counting
from hyperinfer.workers.gateway.credentials import Credentials
from hyperinfer.workers.gateway.directory import DirectoryCopy, Follower, following
from hyperinfer.workers.gateway.fleet import Fleet
from hyperinfer.workers.gateway.forward import Forwarder
from hyperinfer.workers.gateway.journal import PromptHash, journaling
from hyperinfer.workers.gateway.limiting import limiting
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.gateway.methods import GatewayMethods
from hyperinfer.workers.gateway.observing import Observing
from hyperinfer.workers.gateway.others import check_alone, others
from hyperinfer.workers.gateway.placing import Placing
from hyperinfer.workers.gateway.service import GatewayService
from hyperinfer.workers.gateway.shown import ShownFleet, ShownUsage
from hyperinfer.workers.gateway.strangers import StrangerLimits


@asynccontextmanager
async def open_gateway(context: Context[GatewaySettings], own: Caller) -> AsyncIterator[Service]:
    """Run a gateway: watch the workers, keep auth's keys, serve HTTP."""
    settings, clock = context.settings, context.clock
    auth = context.service("auth")
    topic = context.swarm.topic("inference")
    fleet = Fleet(look=lambda: context.peers.find_now(topic), peer=context.peer, members=context.members, clock=clock)
    balance = Balance(
        fleet,
        clock=clock,
        wait_s=settings.worker_wait_s,
        loading_wait_s=settings.loading_wait_s,
        chance=Random(),
    )
    meters = Meters(context.registry, clock, settings.metrics)
    meters.models.there = lambda: fleet.offers
    ShownFleet(lambda: fleet.workers, lambda: balance.waiting, registry=context.registry)
    local = is_local(settings.http)
    own_key = context.identity.public_key
    directory = DirectoryCopy()
    catalogue = Catalogue(fleet, lambda: directory.aliases, clock=clock, default_model=settings.default_model)
    follower = Follower(auth, directory, clock=clock)
    strangers, registration = settings.strangers, settings.registration
    accounts = Accounts(
        auth,
        StrangerLimits(clock, per_host=strangers.per_host_per_minute, total=strangers.total_per_minute),
        follower=follower,
        own_key=own_key,
        http=("open" if local else "invite") if registration.http == "auto" else registration.http,
        swarm=registration.swarm,
    )
    data = context.paths.data
    if settings.limits.scope == "swarm" and not settings.limits.redis_url:
        await check_alone(context)
    async with (
        following(follower, data),
        journaling(data, auth, clock=clock, settings=settings.journal) as journal,
        limiting(
            settings.limits,
            journal,
            clock,
            gateway=own_key.hex(),
            gateways=lambda: 1 + len(others(context)) if settings.limits.scope == "swarm" else 1,
        ) as limiter,
        background(fleet.run(), name="fleet"),
    ):
        ShownUsage(journal, limiter, registry=context.registry)
        service = GatewayService(
            credentials=Credentials(directory, follower, clock=clock, grace_s=settings.auth_grace_s),
            checks=StrangerLimits(
                clock, per_host=strangers.checks_per_host_per_minute, total=strangers.checks_total_per_minute
            ),
            limiter=limiter,
            accounting=Accounting(limiter, journal, PromptHash.of_folder(data), clock=clock, meters=meters),
            catalogue=catalogue,
            fair_secret=context.swarm.secret("users"),
            forwarder=Forwarder(
                balance, fleet, clock=clock, meters=meters, retries=settings.retries, resumes=settings.resumes
            ),
            fleet=fleet,
            journal=journal,
            clock=clock,
        )
        observing = Observing(context.service("metrics"), service.authenticate, clock=clock, note=accounts.note)
        app = create_app(
            own,
            settings.http,
            request_timeout_s=settings.request_timeout_s,
            metrics=local,
            observation=context.observation,
        )
        listen = listen_of(settings.http)
        CertificateMeters(listen, clock=clock, registry=context.registry)
        async with serving(app, listen) as url:
            yield Service(
                routes=GatewayMethods(
                    service,
                    accounts,
                    Placing(fleet, catalogue, clock, note=accounts.note),
                    Counting(balance, catalogue, clock),
                    observing,
                ).routes(),
                announces=("gateway",),
                open_to_all=True,
                authenticate=service.authenticate,
                not_ready=service.not_ready,
                on_drain=observing.stop,
                addresses={"http": url},
            )


WORKER = WorkerType(name="gateway", settings=GatewaySettings, observe_port=9100, open=open_gateway)
