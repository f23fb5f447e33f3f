"""Rules on workers: that one is lost, that nobody can answer, that what runs models fails."""

from hyperinfer.workers.metrics.alerts.looking import LONG_S, grown, newest
from hyperinfer.workers.metrics.alerts.rule import Found, Rule, below
from hyperinfer.workers.metrics.collecting.swarm import UP
from hyperinfer.workers.metrics.view import View

AWAY = frozenset({"lost", "never_seen"})
SERVED = "ai_platform_request_duration_seconds_count"
SLOTS = "ai_platform_inference_slots"
OTHER = "other"
"""What models share that have no series of their own."""


def _up(view: View, over_s: float) -> Found:
    """Bridges come and go as their people do."""
    for worker in view.workers:
        if worker.wtype != "client":
            yield {"worker": worker.name, "wtype": worker.wtype}, float(worker.state not in AWAY)


def _missing(view: View, over_s: float) -> Found:
    """Models that gateways have answered with lately, and that no worker has."""
    wanted, there = set(), {OTHER}
    for worker in view.workers:
        wanted |= {
            labels.get("model", "")
            for labels, _ in view.values(worker.key, SERVED)
            if labels.get("service") == "gateway"
        }
        there |= {labels.get("model", "") for labels, _ in view.values(worker.key, SLOTS)}
    return [({"model": model}, 1.0) for model in sorted(wanted - there)]


WORKER_LOST = Rule(
    name="worker_lost",
    severity="critical",
    looks_at=_up,
    is_bad=below,
    threshold=1,
    hold_s=30,
    resolve_s=15,
    summary="The worker {worker} ({wtype}) does not answer.",
    do="Look at its machine: is it on and online, does `hyperinfer status` there show the worker? `hyperinfer status` here says how "
    "far a connection gets. If it is gone for good, `hyperinfer members revoke` takes it off the list.",
    expr=f'max by (worker, wtype) ({UP}{{wtype!="client"}}) < THRESHOLD',
)
NO_WORKERS = Rule(
    name="no_workers",
    severity="critical",
    looks_at=newest("ai_platform_workers", state="ready"),
    is_bad=below,
    threshold=1,
    hold_s=30,
    resolve_s=15,
    summary="{worker} has no worker that could answer a request.",
    do="Start one with a model: `hyperinfer worker --wtype inference`, or see why those that there are do not answer: "
    "`hyperinfer status`.",
    expr='sum by (worker) (ai_platform_workers{state="ready"}) < THRESHOLD',
)
MODEL_GONE = Rule(
    name="model_gone",
    severity="critical",
    looks_at=_missing,
    threshold=0,
    hold_s=60,
    resolve_s=30,
    summary="The model {model} was in use, and no worker has it any more.",
    do="Start the worker or the backend that had it, or pull it on another machine: `hyperinfer models pull`. If it was taken away on purpose, "
    "this ends within an hour.",
    expr=f'count by (model) ({SERVED}{{service="gateway",model!="{OTHER}"}}) > THRESHOLD unless on (model) '
    f"count by (model) ({SLOTS})",
)
BACKEND_DOWN = Rule(
    name="backend_down",
    severity="critical",
    looks_at=newest("ai_platform_inference_backend_up", "backend"),
    is_bad=below,
    threshold=1,
    hold_s=30,
    resolve_s=30,
    summary="{worker} cannot reach its backend {backend}.",
    do="Is the program running that serves the models there (Ollama, vLLM, …)? `hyperinfer doctor` on that machine says what it finds.",
    expr="min by (worker, backend) (ai_platform_inference_backend_up) < THRESHOLD",
)
BACKEND_RESTARTS = Rule(
    name="backend_restarts",
    severity="warning",
    looks_at=grown("ai_platform_inference_backend_restarts_total"),
    threshold=2,
    hold_s=0,
    resolve_s=300,
    window_s=LONG_S,
    summary="Engines of {worker} had to be started again {value} times within {window}.",
    do="An engine that ends again and again mostly lacks memory: fewer slots, less context or a smaller model help. Its last words "
    "are in the log of that machine.",
    expr="sum by (worker) (increase(ai_platform_inference_backend_restarts_total[WINDOW])) > THRESHOLD",
)
BREAKER_OPEN = Rule(
    name="breaker_open",
    severity="warning",
    looks_at=newest("ai_platform_breaker_open", "peer", "model"),
    threshold=0,
    hold_s=15,
    resolve_s=60,
    summary="{worker} sends {peer} nothing but probes for {model}: it kept failing.",
    do="Other workers answer meanwhile, if they have the model. `hyperinfer logs --level error` shows why it fails there.",
    expr="max by (worker, peer, model) (ai_platform_breaker_open) > THRESHOLD",
)

RULES = (WORKER_LOST, NO_WORKERS, MODEL_GONE, BACKEND_DOWN, BACKEND_RESTARTS, BREAKER_OPEN)
