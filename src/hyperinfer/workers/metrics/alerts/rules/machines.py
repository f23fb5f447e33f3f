"""Rules on machines: processor, memory, disk, files."""

from hyperinfer.contracts.metrics import WorkerHealth
from hyperinfer.workers.metrics.alerts.looking import Look, each, newest, share
from hyperinfer.workers.metrics.alerts.rule import Found, Rule, below
from hyperinfer.workers.metrics.alerts.shown import duration
from hyperinfer.workers.metrics.alerts.shown import share as percent
from hyperinfer.workers.metrics.view import View

CPU_S = 120.0
"""Long enough for what children take, which is looked at now and then."""
OWN, CHILDREN, PROCESSORS = "process_cpu_seconds_total", "ai_platform_child_cpu_seconds_total", "ai_platform_host_cpus"


def _cpu(view: View, worker: WorkerHealth, over_s: float) -> float | None:
    """What a process and its children take of their machine."""
    own = view.increase(worker.key, OWN, over_s=over_s)
    processors = view.value(worker.key, PROCESSORS)
    if own is None or not processors:
        return None
    return (own + (view.increase(worker.key, CHILDREN, over_s=over_s) or 0.0)) / over_s / processors


def once_a_process(look: Look) -> Look:
    """Of workers in one process, which show the same, the first alone."""

    def looks(view: View, over_s: float) -> Found:
        first: dict[str, str] = {}
        for worker in view.workers:
            first.setdefault(worker.process or worker.key, worker.name)
        names = set(first.values())
        return ((labels, value) for labels, value in look(view, over_s) if labels["worker"] in names)

    return looks


CPU = Rule(
    name="cpu",
    severity="warning",
    looks_at=once_a_process(each(_cpu)),
    threshold=0.8,
    hold_s=600,
    resolve_s=120,
    window_s=CPU_S,
    shown=percent,
    summary="{worker} and what it has started take {value} of the processors of their machine.",
    do="Models on a processor take what they are given: give the engine fewer threads, or this machine fewer requests. Where that is as it "
    "should be, raise the threshold of this rule or switch it off.",
    expr=f"(sum by (worker) (rate({OWN}[WINDOW])) + sum by (worker) (rate({CHILDREN}[WINDOW]))) "
    f"/ max by (worker) ({PROCESSORS}) > THRESHOLD",
)
LOOP_LAG = Rule(
    name="loop_lag",
    severity="warning",
    looks_at=once_a_process(newest("ai_platform_event_loop_lag_seconds")),
    threshold=0.5,
    hold_s=60,
    resolve_s=120,
    shown=duration,
    summary="{worker} is late by {value}: its machine has no time for it.",
    do="Something else takes the processors, or the machine swaps: look at it with `top`. Fewer threads for engines leave it some.",
    expr="max by (worker) (ai_platform_event_loop_lag_seconds) > THRESHOLD",
)
MEMORY = Rule(
    name="memory",
    severity="warning",
    looks_at=once_a_process(share("ai_platform_host_memory_available_bytes", "ai_platform_host_memory_bytes")),
    is_bad=below,
    threshold=0.05,
    hold_s=120,
    resolve_s=120,
    shown=percent,
    summary="The machine of {worker} has {value} of its memory left.",
    do="The system ends programs when there is none. Unload a model (`hyperinfer models unload`), or give engines fewer slots or "
    "less context.",
    expr="max by (worker) (ai_platform_host_memory_available_bytes) / max by (worker) (ai_platform_host_memory_bytes) < THRESHOLD",
)
DISK = Rule(
    name="disk",
    severity="critical",
    looks_at=share("ai_platform_disk_free_bytes", "ai_platform_disk_size_bytes"),
    is_bad=below,
    threshold=0.05,
    hold_s=60,
    resolve_s=60,
    shown=percent,
    summary="The disk with the data of {worker} has {value} left.",
    do="Where it is full nothing can be accounted, and requests are refused. Make room: models take the most, `hyperinfer models` says which "
    "nobody uses.",
    expr="max by (worker) (ai_platform_disk_free_bytes) / max by (worker) (ai_platform_disk_size_bytes) < THRESHOLD",
)
OPEN_FILES = Rule(
    name="open_files",
    severity="warning",
    looks_at=once_a_process(share("process_open_fds", "process_max_fds")),
    threshold=0.8,
    hold_s=60,
    resolve_s=120,
    shown=percent,
    summary="{worker} has {value} of the files and connections open that its system grants it.",
    do="Beyond that it takes no connection. Raise the system's bound (`ulimit -n`, or LimitNOFILE of its service) and start it again.",
    expr="max by (worker) (process_open_fds) / max by (worker) (process_max_fds) > THRESHOLD",
)

RULES = (CPU, LOOP_LAG, MEMORY, DISK, OPEN_FILES)
