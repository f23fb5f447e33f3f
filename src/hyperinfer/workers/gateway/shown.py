"""What is shown of the gateway's state to Prometheus, as it is whenever somebody looks: workers, queues, breakers, the journal."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.facilities.metrics import OTHER
from hyperinfer.workers.gateway.journal import Journal
from hyperinfer.workers.gateway.limiting import Limiter
from hyperinfer.workers.gateway.offers import Worker

STATES = ("ready", "draining", "lost")
MAX_MODELS = 100
MAX_WORKERS = 100
MAX_BREAKERS = 1000
"""Of what is shown at most; breakers that are open come first."""


class ShownFleet:
    """The inference workers that the gateway knows. What goes there goes here: there is nothing to be forgotten."""

    def __init__(
        self, workers: Callable[[], Sequence[Worker]], waiting: Callable[[], int], *, registry: CollectorRegistry
    ) -> None:
        self._workers = workers
        self._waiting = waiting
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Everything about them."""
        workers = self._workers()
        states = GaugeMetricFamily("ai_platform_workers", "Inference workers by state.", labels=["state"])
        counted = Counter(worker.state for worker in workers)
        for state in STATES:
            states.add_metric([state], counted[state])
        waiting = GaugeMetricFamily(
            "ai_platform_requests_waiting", "Requests that wait for a worker that could take them.", self._waiting()
        )
        yield from (states, waiting, *_by_model(workers), *_by_worker(workers))


class ShownUsage:
    """The journal, and whether limits are counted as configured."""

    def __init__(self, journal: Journal, limiter: Limiter, *, registry: CollectorRegistry) -> None:
        self._journal = journal
        self._limiter = limiter
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Everything about it."""
        journal = self._journal
        segments, size_bytes = journal.size()
        yield from (
            GaugeMetricFamily(
                "ai_platform_usage_waiting", "Requests whose usage auth has not taken in yet.", journal.waiting
            ),
            GaugeMetricFamily(
                "ai_platform_usage_oldest_seconds", "How long ago the oldest of them began.", journal.oldest_s
            ),
            GaugeMetricFamily(
                "ai_platform_usage_stuck",
                "1 while no request is served because none could be accounted.",
                bool(journal.reasons),
            ),
            GaugeMetricFamily("ai_platform_journal_segments", "Files of the journal of usage.", segments),
            GaugeMetricFamily("ai_platform_journal_bytes", "Size of the journal of usage.", size_bytes),
            GaugeMetricFamily(
                "ai_platform_limits_degraded",
                "1 while limits that gateways should count together are counted by each for its share.",
                self._limiter.degraded is not None,
            ),
        )


def _by_model(workers: Iterable[Worker]) -> Iterable[Metric]:
    queued = GaugeMetricFamily(
        "ai_platform_queue_depth", "Requests that wait for a slot at workers, as these last said.", labels=["model"]
    )
    slots = GaugeMetricFamily("ai_platform_slots", "Slots of workers that take requests.", labels=["model"])
    busy = GaugeMetricFamily("ai_platform_slots_busy", "Those of them that are taken.", labels=["model"])
    found: dict[str, tuple[int, int, int]] = {}
    for offer in (offer for worker in workers if worker.live for offer in worker.offers.values()):
        status = offer.status
        label = status.name if status.name in found or len(found) < MAX_MODELS else OTHER
        before = found.get(label, (0, 0, 0))
        usable = status.slots if offer.usable else 0
        found[label] = before[0] + status.queued, before[1] + usable, before[2] + status.busy
    for label, figures in found.items():
        for metric, figure in zip((queued, slots, busy), figures, strict=True):
            metric.add_metric([label], figure)
    return queued, slots, busy


def _by_worker(workers: Sequence[Worker]) -> Iterable[Metric]:
    in_flight = GaugeMetricFamily(
        "ai_platform_worker_requests_in_flight", "Requests of this gateway at a worker.", labels=["peer"]
    )
    breakers = GaugeMetricFamily(
        "ai_platform_breaker_open",
        "1 while a model of a worker has kept failing and gets no requests but probes.",
        labels=["peer", "model"],
    )
    names = _names(workers)
    for worker in workers[:MAX_WORKERS]:
        in_flight.add_metric([names[worker.key]], len(worker.attempts))
    offers = [offer for worker in workers for offer in worker.offers.values()]
    open_first = chain(
        (offer for offer in offers if offer.breaker.is_open), (offer for offer in offers if not offer.breaker.is_open)
    )
    for offer in islice(open_first, MAX_BREAKERS):
        breakers.add_metric([names[offer.worker.key], offer.status.name], offer.breaker.is_open)
    return in_flight, breakers


def _names(workers: Iterable[Worker]) -> dict[bytes, str]:
    """What each worker is called; where two have one name, the start of their keys is added."""
    how_many = Counter(worker.name for worker in workers)
    return {
        worker.key: worker.name if how_many[worker.name] == 1 else f"{worker.name}-{worker.hex[:8]}"
        for worker in workers
    }
