"""Rules on what accounts rest on: usage that reaches auth, limits that count, keys and certificates that last."""

from hyperinfer.workers.metrics.alerts.looking import newest
from hyperinfer.workers.metrics.alerts.rule import Rule, below
from hyperinfer.workers.metrics.alerts.shown import duration

DAY_S = 24 * 3600
CERTIFICATE = "ai_platform_tls_certificate_expires_in_seconds"
SIGNING_KEY = "ai_platform_signing_key_expires_in_seconds"
RENEW = "Renew the files in http.tls_certificate and http.tls_key; they are taken within seconds, without a restart."

DATABASE_DOWN = Rule(
    name="database_down",
    severity="critical",
    looks_at=newest("ai_platform_database_up"),
    is_bad=below,
    threshold=1,
    hold_s=30,
    resolve_s=30,
    summary="{worker} does not reach its database.",
    do="Start the database, or look at the way there: `hyperinfer db check` tries it. Whoever has a key is answered meanwhile; nobody logs in, and "
    "no key is made.",
    expr="min by (worker) (ai_platform_database_up) < THRESHOLD",
)
USAGE_LATE = Rule(
    name="usage_late",
    severity="warning",
    looks_at=newest("ai_platform_usage_oldest_seconds"),
    threshold=600,
    hold_s=60,
    resolve_s=60,
    shown=duration,
    summary="{worker} has kept usage for {value} that auth has not taken in.",
    do="Nothing is lost, but its journal grows. Is auth up, and is its database? `hyperinfer status` says whether they are reached.",
    expr="max by (worker) (ai_platform_usage_oldest_seconds) > THRESHOLD",
)
USAGE_WAITING = Rule(
    name="usage_waiting",
    severity="warning",
    looks_at=newest("ai_platform_usage_waiting"),
    threshold=10_000,
    hold_s=120,
    resolve_s=60,
    summary="The usage of {value} requests waits at {worker} until auth takes it in.",
    do="Auth is away, or slower than requests come: look at its database, and at `hyperinfer status`.",
    expr="max by (worker) (ai_platform_usage_waiting) > THRESHOLD",
)
USAGE_STUCK = Rule(
    name="usage_stuck",
    severity="critical",
    looks_at=newest("ai_platform_usage_stuck"),
    threshold=0,
    hold_s=0,
    resolve_s=15,
    summary="{worker} serves nothing: no request could be accounted.",
    do="Its disk is full or broken, or its journal is at its bound: `hyperinfer status` says which. Make room; it goes on by itself.",
    expr="max by (worker) (ai_platform_usage_stuck) > THRESHOLD",
)
LIMITS_DEGRADED = Rule(
    name="limits_degraded",
    severity="warning",
    looks_at=newest("ai_platform_limits_degraded"),
    threshold=0,
    hold_s=30,
    resolve_s=30,
    summary="{worker} counts limits for itself: it does not reach what gateways count in together.",
    do="Start Redis, or look at the network in between. Meanwhile each gateway grants its share of every limit.",
    expr="max by (worker) (ai_platform_limits_degraded) > THRESHOLD",
)
CERTIFICATE_EXPIRES = Rule(
    name="certificate_expires",
    severity="warning",
    looks_at=newest(CERTIFICATE),
    is_bad=below,
    threshold=14 * DAY_S,
    hold_s=60,
    resolve_s=0,
    shown=duration,
    summary="The certificate of {worker} expires in {value}.",
    do=RENEW,
    expr=f"min by (worker) ({CERTIFICATE}) < THRESHOLD",
)
CERTIFICATE_EXPIRES_SOON = Rule(
    name="certificate_expires_soon",
    severity="critical",
    looks_at=newest(CERTIFICATE),
    is_bad=below,
    threshold=3 * DAY_S,
    hold_s=60,
    resolve_s=0,
    shown=duration,
    summary="The certificate of {worker} expires in {value}: then no client connects any more.",
    do=RENEW,
    expr=f"min by (worker) ({CERTIFICATE}) < THRESHOLD",
)
SIGNING_KEY_EXPIRES = Rule(
    name="signing_key_expires",
    severity="critical",
    looks_at=newest(SIGNING_KEY),
    is_bad=below,
    threshold=0,
    hold_s=900,
    resolve_s=0,
    shown=duration,
    summary="The key with which {worker} signs sessions should have been followed by another ({value}).",
    do="It follows by itself, so something keeps auth from it: the log of auth says what, most often a folder or a database that "
    "cannot be written.",
    expr=f"min by (worker) ({SIGNING_KEY}) < THRESHOLD",
)

RULES = (
    DATABASE_DOWN,
    USAGE_LATE,
    USAGE_WAITING,
    USAGE_STUCK,
    LIMITS_DEGRADED,
    CERTIFICATE_EXPIRES,
    CERTIFICATE_EXPIRES_SOON,
    SIGNING_KEY_EXPIRES,
)
