"""Rules on the net, and on what is collected over it."""

from hyperinfer.workers.metrics.alerts.looking import LONG_S, grown, newest
from hyperinfer.workers.metrics.alerts.rule import Rule, below
from hyperinfer.workers.metrics.alerts.rules.machines import once_a_process

DRIVER_RESTARTS = Rule(
    name="driver_restarts",
    severity="warning",
    looks_at=once_a_process(grown("ai_platform_net_driver_restarts_total")),
    threshold=2,
    hold_s=0,
    resolve_s=300,
    window_s=LONG_S,
    summary="The swarm driver of {worker} had to be started again {value} times within {window}.",
    do="Each time its connections are made anew. The log of that machine says how the driver ended: most often the system took its "
    "memory.",
    expr="sum by (worker) (increase(ai_platform_net_driver_restarts_total[WINDOW])) > THRESHOLD",
)
SWARM_OFFLINE = Rule(
    name="swarm_offline",
    severity="warning",
    looks_at=once_a_process(newest("ai_platform_net_online")),
    is_bad=below,
    threshold=1,
    hold_s=120,
    resolve_s=30,
    summary="{worker} does not reach the swarm: machines that are not connected with it yet cannot find it.",
    do="Is the machine online, and does it reach the nodes in net.bootstrap? `hyperinfer doctor` there tries each step.",
    expr="min by (worker) (ai_platform_net_online) < THRESHOLD",
)
METRICS_REFUSED = Rule(
    name="metrics_refused",
    severity="warning",
    looks_at=grown("ai_platform_collect_refused_total"),
    threshold=0,
    hold_s=60,
    resolve_s=900,
    window_s=LONG_S,
    summary="{worker} did not take in all that workers showed it: {value} refusals within {window}.",
    do="A worker shows more than is let in, or what makes no sense: the log says which. Its alerts do not work meanwhile; the bounds are "
    "in collect.max_text_bytes and collect.max_samples.",
    expr="sum by (worker) (increase(ai_platform_collect_refused_total[WINDOW])) > THRESHOLD",
)

RULES = (DRIVER_RESTARTS, SWARM_OFFLINE, METRICS_REFUSED)
