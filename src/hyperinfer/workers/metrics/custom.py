"""Figures that members of the swarm record of their own accord, in a bounded number."""

from collections import Counter as Tally
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hyperinfer.contracts.metrics import RecordMetric
from hyperinfer.errors import BadRequest, Conflict, TooLarge

PREFIX = "ai_platform_custom_"
BY = "recorded_by"
"""The label that says which member has recorded it."""
RESERVED = frozenset({"worker", "wtype", "le", "quantile", BY})
MAX_NAMES = 200
MAX_NAMES_EACH = 50
MAX_SERIES = 2000
MAX_SERIES_EACH = 500
"""Over all names: this worker's own metrics must not become more than it takes in itself."""

Kind = Counter | Gauge | Histogram
KINDS: dict[str, type[Kind]] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
SERIES = {"counter": 1, "gauge": 1, "histogram": len(Histogram.DEFAULT_BUCKETS) + 2}
"""How many a set of labels is."""


class _Custom:
    """One metric: who made it, what it is, its labels, and which sets of them there are."""

    __slots__ = ("kind", "labels", "metric", "owner", "sets")

    def __init__(self, owner: bytes, kind: str, labels: tuple[str, ...], metric: Kind) -> None:
        self.owner = owner
        self.kind = kind
        self.labels = labels
        self.metric = metric
        self.sets: dict[tuple[str, ...], bytes] = {}


class CustomMetrics:
    """Keeps what members record, until they are members no more."""

    def __init__(self, registry: CollectorRegistry, name_of: Callable[[bytes], str]) -> None:
        self._registry = registry
        self._name_of = name_of
        self._metrics: dict[str, _Custom] = {}
        self._series: Tally[bytes] = Tally()

    def record(self, request: RecordMetric, caller: bytes) -> None:
        """Take one value. Raises `BadRequest` and `Conflict` for what cannot be recorded so, `TooLarge` where there is no room."""
        names = tuple(sorted(request.labels))
        self._check(request, names)
        custom = self._metrics.get(request.name) or self._made(request, names, caller)
        if (custom.kind, custom.labels) != (request.kind, names):
            raise Conflict(f"{request.name} is a {custom.kind} with the labels {', '.join(custom.labels) or '(none)'}.")
        values = (*(request.labels[name] for name in names), self._name_of(caller))
        if values not in custom.sets:
            self._check_room(caller, request.kind)
            custom.sets[values] = caller
            self._series[caller] += SERIES[request.kind]
        child = custom.metric.labels(*values)
        if isinstance(child, Counter):
            child.inc(request.value)
        elif isinstance(child, Gauge):
            child.set(request.value)
        else:
            child.observe(request.value)

    def forget(self, kept: frozenset[bytes]) -> None:
        """Forget what was recorded by others than these."""
        for name, custom in tuple(self._metrics.items()):
            for values, owner in tuple(custom.sets.items()):
                if owner not in kept:
                    custom.metric.remove(*values)
                    del custom.sets[values]
            if not custom.sets:
                self._registry.unregister(custom.metric)
                del self._metrics[name]
        self._series = Tally()
        for custom in self._metrics.values():
            for owner in custom.sets.values():
                self._series[owner] += SERIES[custom.kind]

    def _check(self, request: RecordMetric, names: tuple[str, ...]) -> None:
        if request.kind == "counter" and request.value < 0:
            raise BadRequest("A counter only grows.", param="value")
        for name in names:
            if name in RESERVED or name.startswith("__"):
                raise BadRequest(f"{name} is a label of ours; take another name.", param="labels")

    def _made(self, request: RecordMetric, names: tuple[str, ...], caller: bytes) -> _Custom:
        own = sum(one.owner == caller for one in self._metrics.values())
        if len(self._metrics) >= MAX_NAMES or own >= MAX_NAMES_EACH:
            raise TooLarge(
                f"There may be {MAX_NAMES} such metrics, {MAX_NAMES_EACH} of one member.", limit=MAX_NAMES_EACH
            )
        self._check_room(caller, request.kind)
        try:
            metric = KINDS[request.kind](
                PREFIX + request.name, "Recorded by a member of the swarm.", (*names, BY), registry=self._registry
            )
        except ValueError as error:
            raise Conflict(f"There is a metric whose name is too much like {request.name}.") from error
        made = self._metrics[request.name] = _Custom(caller, request.kind, names, metric)
        return made

    def _check_room(self, caller: bytes, kind: str) -> None:
        more = SERIES[kind]
        if self._series.total() + more > MAX_SERIES or self._series[caller] + more > MAX_SERIES_EACH:
            raise TooLarge(
                f"There may be {MAX_SERIES} such series, {MAX_SERIES_EACH} of one member; each set of a histogram's labels "
                f"is {SERIES['histogram']}.",
                limit=MAX_SERIES_EACH,
            )
