"""The metrics worker: its parts and how they are put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.metrics.alerts.methods import AlertMethods
from hyperinfer.workers.metrics.alerts.opening import alerting
from hyperinfer.workers.metrics.collecting.collector import Collector
from hyperinfer.workers.metrics.collecting.meters import Meters
from hyperinfer.workers.metrics.config import MetricsSettings
from hyperinfer.workers.metrics.custom import CustomMetrics
from hyperinfer.workers.metrics.gathering import Gathering
from hyperinfer.workers.metrics.history import meters as history_meters
from hyperinfer.workers.metrics.history.history import History
from hyperinfer.workers.metrics.methods import MetricsMethods
from hyperinfer.workers.metrics.reports.presence import presence_in
from hyperinfer.workers.metrics.reports.reporting import reporting
from hyperinfer.workers.metrics.service import SystemFeed
from hyperinfer.workers.metrics.serving.routes import ServingRoutes
from hyperinfer.workers.metrics.view import View

STRANGER = (
    "It is no member of the swarm, so that nobody tells it anything: `hyperinfer invite --role metrics` on auth's machine, "
    "`hyperinfer join` here."
)


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
    gathering = Gathering(
        members,
        peer=lambda key: own if key == context.identity.public_key else context.peer(key),
        clock=context.clock,
    )
    custom = CustomMetrics(context.registry, members.name)
    members.on_change(lambda: custom.forget(members.keys))
    history = History(
        settings.history,
        context.paths.data,
        interval_s=settings.collect.interval_s,
        clock=context.clock,
        meters=history_meters.Meters(context.registry),
    )

    def not_ready() -> Sequence[str]:
        if not members.roles(context.identity.public_key):
            return (STRANGER,)
        return () if collector.has_collected else ("The workers have not been asked yet.",)

    async with (
        alerting(
            settings.alerts,
            settings.mail,
            folder=context.paths.data,
            interval_s=settings.collect.interval_s,
            remember_s=settings.collect.remember_s,
            clock=context.clock,
            registry=context.registry,
        ) as alerts,
        history.running(),
        reporting(context, presence=presence_in(history)) as report_routes,
        background(collector.run(), name="collecting"),
    ):
        feed = SystemFeed(collector.swarm, alerts.open)

        def collected(view: View) -> None:
            alerts.look(view)
            history.collected(view)
            feed.collected()

        def stop() -> None:
            feed.end()
            gathering.end()

        collector.on_round(collected)
        yield Service(
            routes=(
                *MetricsMethods(feed, custom, history).routes(),
                *AlertMethods(alerts).routes(),
                *gathering.routes(),
                *report_routes,
            ),
            announces=("metrics",),
            not_ready=not_ready,
            on_serving=collector.begin,
            on_drain=stop,
            metrics_text=collector.swarm.text,
            observe_routes=ServingRoutes(collector, feed).routes(),
        )


WORKER = WorkerType(name="metrics", settings=MetricsSettings, observe_port=9105, open=open_metrics)
