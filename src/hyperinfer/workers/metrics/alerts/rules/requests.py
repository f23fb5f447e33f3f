"""Rules on requests: that they fail, take long, wait, or are refused."""

from hyperinfer.contracts import gateway, inference
from hyperinfer.contracts.metrics import WorkerHealth
from hyperinfer.workers.metrics.alerts.looking import LATELY_S, each, grown, newest
from hyperinfer.workers.metrics.alerts.rule import Found, Rule
from hyperinfer.workers.metrics.alerts.shown import duration, share
from hyperinfer.workers.metrics.collecting.figures import ENDED, OUR_FAULTS
from hyperinfer.workers.metrics.view import View

FEW = 10
"""Of fewer requests a share says nothing."""

PEOPLES = (gateway.PROCESS_INFERENCE, gateway.PROCESS_PROMPT, gateway.LOGIN, gateway.REGISTER)
WORKERS = (inference.PROCESS_REQUEST, inference.EMBED)
REQUESTS = tuple(method.name for method in (*PEOPLES, *WORKERS))
"""What people wait for, at gateways, at auth and at workers."""

_METHODS = "|".join(REQUESTS)
_FAULTS = "|".join(OUR_FAULTS)
_ENDED = f'sum by (worker) (increase({ENDED}{{method=~"{_METHODS}"}}[WINDOW]))'
_FAILED = f'sum by (worker) (increase({ENDED}{{method=~"{_METHODS}",status=~"{_FAULTS}"}}[WINDOW]))'
_WAITING = ("ai_platform_inference_queued", "ai_platform_requests_waiting")


def _failing(view: View, worker: WorkerHealth, over_s: float) -> float | None:
    ended = view.increase(worker.key, ENDED, over_s=over_s, method=REQUESTS)
    failed = view.increase(worker.key, ENDED, over_s=over_s, method=REQUESTS, status=OUR_FAULTS)
    return (failed or 0.0) / ended if ended is not None and ended >= FEW else None


def _latency(view: View, worker: WorkerHealth, over_s: float) -> float | None:
    if worker.wtype != "gateway":
        return None
    return view.mean(worker.key, "ai_platform_request_duration_seconds", over_s=over_s)


def _waiting(view: View, over_s: float) -> Found:
    for metric in _WAITING:
        yield from newest(metric)(view, over_s)


ERROR_RATE = Rule(
    name="error_rate",
    severity="critical",
    looks_at=each(_failing),
    threshold=0.05,
    hold_s=60,
    resolve_s=300,
    window_s=LATELY_S,
    shown=share,
    summary="{value} of the requests at {worker} fail by no fault of who sent them.",
    do="See which errors: `hyperinfer logs --level error`. Most often a worker or a backend behind it is away: look at the other alerts, "
    "and at `hyperinfer top`.",
    expr=f"{_FAILED} / {_ENDED} > THRESHOLD and {_ENDED} >= {FEW}",
)
LATENCY = Rule(
    name="latency",
    severity="warning",
    looks_at=each(_latency),
    threshold=5.0,
    hold_s=120,
    resolve_s=300,
    window_s=LATELY_S,
    shown=duration,
    summary="Answers of {worker} take {value} on average.",
    do="If requests wait (`hyperinfer top` shows queues), add a worker or slots. If none wait, the model is slow for its machine, or "
    "answers are long: where that is as it should be, raise the threshold of this rule.",
    expr='sum by (worker) (rate(ai_platform_request_duration_seconds_sum{service="gateway"}[WINDOW])) '
    '/ sum by (worker) (rate(ai_platform_request_duration_seconds_count{service="gateway"}[WINDOW])) > THRESHOLD',
)
QUEUE = Rule(
    name="queue",
    severity="warning",
    looks_at=_waiting,
    threshold=100,
    hold_s=60,
    resolve_s=120,
    summary="{value} requests wait at {worker}.",
    do="There is more to do than slots to do it in: add a worker with the model, or slots where the machine has room; or give "
    "people lower limits.",
    expr=f'sum by (worker) ({{__name__=~"{"|".join(_WAITING)}"}}) > THRESHOLD',
)
REFUSALS = Rule(
    name="refusals",
    severity="warning",
    looks_at=grown("ai_platform_inference_refused_total"),
    threshold=50,
    hold_s=60,
    resolve_s=300,
    window_s=LATELY_S,
    summary="{worker} gave {value} requests no slot within {window}.",
    do="Its queue is full, or requests waited for too long: add a worker with the model, or slots where the machine has room.",
    expr="sum by (worker) (increase(ai_platform_inference_refused_total[WINDOW])) > THRESHOLD",
)
RATE_LIMITS = Rule(
    name="rate_limits",
    severity="warning",
    looks_at=grown("ai_platform_rate_limit_violations_total"),
    threshold=300,
    hold_s=60,
    resolve_s=300,
    window_s=LATELY_S,
    summary="{worker} refused {value} requests within {window} for limits that people have.",
    do="Somebody's program tries again without waiting, or limits are lower than what people need: `hyperinfer usage --all` shows "
    "who. Speak to them, give them another tier, or revoke the key.",
    expr="sum by (worker) (increase(ai_platform_rate_limit_violations_total[WINDOW])) > THRESHOLD",
)

RULES = (ERROR_RATE, LATENCY, QUEUE, REFUSALS, RATE_LIMITS)
