"""The metrics worker: its parts and how they are put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.metrics.collecting.collector import Collector
from hyperinfer.workers.metrics.collecting.meters import Meters
from hyperinfer.workers.metrics.config import MetricsSettings
from hyperinfer.workers.metrics.custom import CustomMetrics
from hyperinfer.workers.metrics.methods import MetricsMethods
from hyperinfer.workers.metrics.service import SystemFeed
from hyperinfer.workers.metrics.serving.routes import ServingRoutes


@asynccontextmanager
async def open_metrics(context: Context[MetricsSettings], own: Caller) -> AsyncIterator[Service]:
    """Run the metrics worker; it collects as soon as it is served itself."""
    settings, members = context.settings, context.members
    collector = Collector(
        settings.collect,
        members=members,
        peer=context.peer,
        own_key=context.identity.public_key,
        own=own,
        clock=context.clock,
        meters=Meters(context.registry),
    )
    feed = SystemFeed(collector.swarm)
    custom = CustomMetrics(context.registry, members.name)
    members.on_change(lambda: custom.forget(members.keys))
    collector.on_round(lambda _: feed.collected())

    def not_ready() -> Sequence[str]:
        return () if collector.has_collected else ("The workers have not been asked yet.",)

    async with background(collector.run(), name="collecting"):
        yield Service(
            routes=MetricsMethods(feed, custom).routes(),
            announces=("metrics",),
            not_ready=not_ready,
            on_serving=collector.begin,
            on_drain=feed.end,
            metrics_text=collector.swarm.text,
            observe_routes=ServingRoutes(collector).routes(),
        )


WORKER = WorkerType(name="metrics", settings=MetricsSettings, observe_port=9105, open=open_metrics)
