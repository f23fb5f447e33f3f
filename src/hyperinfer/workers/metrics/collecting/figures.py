"""From metrics to figures: what a worker does just now, in numbers that a person can read."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from hyperinfer.contracts import (
    acting,
    audit,
    auth,
    directory,
    gateway,
    inference,
    logs,
    metrics,
    people,
    reports,
    usage,
)
from hyperinfer.contracts.method import Method
from hyperinfer.contracts.metrics import Figures, ModelFigures
from hyperinfer.errors import BY_CODE, BackendFailed, DeadlineExceeded, InternalError, RemoteError, Unavailable
from hyperinfer.workers.metrics.view import View

NOW_S = 60.0
"""What rates are taken over."""
LATELY_S = 300.0
"""What latencies are taken over: there may be few."""

OUR_FAULTS = tuple(
    code
    for code, kind in BY_CODE.items()
    if issubclass(kind, InternalError | Unavailable | DeadlineExceeded | BackendFailed | RemoteError)
)
"""How calls end that failed by no fault of who made them; over HTTP these are statuses from 500 on."""


def _told(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    methods = {one.name: one for module in modules for one in vars(module).values() if isinstance(one, Method)}
    return tuple(sorted(name for name, one in methods.items() if not one.quiet))


REQUESTS = _told((acting, audit, auth, directory, gateway, inference, logs, metrics, people, reports, usage))
"""The methods that people's doings lead to, not the machines' own."""

CALLS = "ai_platform_call_duration_seconds"
ENDED = "ai_platform_requests_total"
STATE = "ai_platform_inference_model_state"
TOKENS = "ai_platform_inference_tokens_total"
SLOTS = "ai_platform_inference_slots"
BUSY = "ai_platform_inference_slots_busy"
QUEUED = "ai_platform_inference_queued"
FIRST_TOKEN = "ai_platform_inference_first_token_seconds"
MAX_MODELS = 200
"""Of one worker; whoever had more could make everybody's work out of its own."""


class Rates(View, Protocol):
    """A view that tells rates too."""

    def rate(self, worker: str, metric: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """How much counters grow in a second, over as much of that time as is known."""

    def rates(self, worker: str, metric: str, *, by: str, over_s: float, **labels: str) -> Mapping[str, float]:
        """The same for each value of a label."""

    def means(self, worker: str, histogram: str, *, by: str, over_s: float) -> Mapping[str, float]:
        """The means of histograms for each value of a label, where there was something to observe."""


Figure = Callable[[Rates, str], float | None]
"""A figure of a worker, by its key."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much counters grow in a second."""

    metric: str
    labels: Mapping[str, str]

    def __call__(self, view: Rates, worker: str) -> float | None:
        """Look."""
        return view.rate(worker, self.metric, over_s=NOW_S, **self.labels)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a histogram."""

    metric: str

    def __call__(self, view: Rates, worker: str) -> float | None:
        """Look."""
        return view.mean(worker, self.metric, over_s=LATELY_S)


@dataclass(frozen=True, slots=True)
class P95:
    """What 95 of 100 observations stay below."""

    metric: str

    def __call__(self, view: Rates, worker: str) -> float | None:
        """Look."""
        return view.quantile(worker, self.metric, 0.95, over_s=LATELY_S)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest value of a gauge, summed."""

    metric: str

    def __call__(self, view: Rates, worker: str) -> float | None:
        """Look."""
        return view.value(worker, self.metric)


@dataclass(frozen=True, slots=True)
class Sum:
    """Several together; those that are not known count nothing, unless none is."""

    figures: tuple[Figure, ...]

    def __call__(self, view: Rates, worker: str) -> float | None:
        """Look."""
        found = [value for figure in self.figures if (value := figure(view, worker)) is not None]
        return sum(found) if found else None


def error_rate(view: Rates, worker: str) -> float | None:
    """The share of requests that failed by our fault."""
    ended = view.increase(worker, ENDED, over_s=NOW_S, method=REQUESTS)
    failed = view.increase(worker, ENDED, over_s=NOW_S, method=REQUESTS, status=OUR_FAULTS)
    return (failed or 0.0) / ended if ended else None


EVERYBODYS: dict[str, Figure] = {
    "requests_per_s": Rate(f"{CALLS}_count", {}),
    "error_rate": error_rate,
    "latency_s": Mean(CALLS),
    "latency_p95_s": P95(CALLS),
    "in_flight": Newest("ai_platform_requests_in_flight"),
    "cpu": Sum((Rate("process_cpu_seconds_total", {}), Rate("ai_platform_child_cpu_seconds_total", {}))),
    "memory_bytes": Sum((Newest("process_resident_memory_bytes"), Newest("ai_platform_child_resident_memory_bytes"))),
    "open_files": Newest("process_open_fds"),
    "loop_lag_s": Newest("ai_platform_event_loop_lag_seconds"),
}
"""The figures of every worker, by their fields."""

OF_TYPE: dict[str, dict[str, Figure]] = {
    "gateway": {
        "latency_s": Mean("ai_platform_request_duration_seconds"),
        "latency_p95_s": P95("ai_platform_request_duration_seconds"),
        "first_token_s": Mean("ai_platform_first_token_seconds"),
        "tokens_per_s": Rate("ai_platform_tokens_total", {"kind": "completion"}),
        "in_flight": Newest("ai_platform_worker_requests_in_flight"),
        "queued": Newest("ai_platform_requests_waiting"),
        "slots": Newest("ai_platform_slots"),
        "busy": Newest("ai_platform_slots_busy"),
    },
    "inference": {
        "latency_s": Mean("ai_platform_request_duration_seconds"),
        "latency_p95_s": P95("ai_platform_request_duration_seconds"),
        "first_token_s": Mean(FIRST_TOKEN),
        "tokens_per_s": Rate(TOKENS, {"kind": "completion"}),
        "in_flight": Sum((Newest(BUSY), Newest(QUEUED))),
        "queued": Newest(QUEUED),
        "slots": Newest(SLOTS),
        "busy": Newest(BUSY),
    },
    "client": {"round_trip_s": Newest("ai_platform_gateway_round_trip_seconds")},
}
"""Those of one type, in place of or beside them."""

WHOLE = frozenset({"in_flight", "queued", "slots", "busy", "memory_bytes", "open_files"})
"""Those that are whole numbers."""


def figures_of(view: Rates, worker: str, wtype: str) -> Figures:
    """The figures of a worker; what it does not show is none."""
    found: dict[str, Any] = {}
    for name, figure in (EVERYBODYS | OF_TYPE.get(wtype, {})).items():
        value = figure(view, worker)
        found[name] = int(value) if value is not None and name in WHOLE else value
    return Figures(**found)


# --- models ----------------------------------------------------------------------------------------------------


def models_of(view: Rates, worker: str) -> tuple[ModelFigures, ...]:
    """The figures of each model that a worker has, by name; of more than `MAX_MODELS`, of the first ones."""
    states = {labels.get("model", ""): labels.get("state", "") for labels, _ in view.values(worker, STATE)}
    names = sorted(states)[:MAX_MODELS]
    slots, busy, queued = (_by_model(view, worker, metric) for metric in (SLOTS, BUSY, QUEUED))
    tokens = view.rates(worker, TOKENS, by="model", over_s=NOW_S, kind="completion")
    first = view.means(worker, FIRST_TOKEN, by="model", over_s=LATELY_S)
    return tuple(
        ModelFigures(
            name=name,
            state=states[name],
            slots=int(slots[name]),
            busy=int(busy[name]),
            queued=int(queued[name]),
            tokens_per_s=tokens.get(name),
            first_token_s=first.get(name),
        )
        for name in names
    )


def _by_model(view: View, worker: str, metric: str) -> defaultdict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for labels, value in view.values(worker, metric):
        sums[labels.get("model", "")] += value
    return sums
