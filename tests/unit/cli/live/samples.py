"""A swarm that is not well, for the live view to draw."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hyperinfer.sdk import Alert, Figures, ModelFigures, PeerLink, SystemHealth, WorkerHealth

NOW = datetime(2026, 11, 21, 18, 20, 11, tzinfo=UTC)
LINKS = (
    PeerLink(key="aa", name="gateway", roles=("gateway",), how="direct"),
    PeerLink(key="bb", name="auth", roles=("auth",), how="none", reason="offline"),
    PeerLink(key="cc", name="metrics", roles=("metrics",), how="here"),
)


def worker(name: str, wtype: str, **more: Any) -> WorkerHealth:
    """A worker with these figures, and else these fields."""
    figures = {field: more.pop(field) for field in Figures.__struct_fields__ if field in more}
    fields: dict[str, Any] = {"key": name, "state": "ready", "process": "p", "uptime_s": 7300.0, "version": "0.1.0"}
    return WorkerHealth(**fields | {"name": name, "wtype": wtype, "figures": Figures(**figures)} | more)


def alert(rule: str, **more: Any) -> Alert:
    """An alert of that rule."""
    fields: dict[str, Any] = {
        "id": f"{rule}-1",
        "severity": "critical",
        "state": "firing",
        "summary": f"{rule} is so.",
        "do": f"Mend {rule}.",
        "labels": {},
        "value": 1.0,
        "since": NOW - timedelta(seconds=95),
    }
    return Alert(**fields | {"rule": rule} | more)


SMALL = ModelFigures(name="smollm2", state="ready", slots=4, busy=4, queued=2, tokens_per_s=98.0, first_token_s=0.16)
IDLE = ModelFigures(name="nomic-embed-text", state="unloaded")
LARGE = ModelFigures(name="llama3.1:70b-instruct-q4_K_M", state="ready", slots=8, busy=1, tokens_per_s=45.2)
HEALTH = SystemHealth(
    status="critical",
    at=NOW,
    workers=(
        worker("auth", "auth", requests_per_s=0.4, error_rate=0.0, cpu=0.31, memory_bytes=312 * 2**20),
        worker(
            "gateway",
            "gateway",
            requests_per_s=12.3,
            error_rate=0.004,
            latency_s=1.02,
            latency_p95_s=2.4,
            first_token_s=0.31,
            tokens_per_s=143.2,
            cpu=0.31,
            memory_bytes=312 * 2**20,
            in_flight=5,
        ),
        worker("inference", "inference", slots=4, busy=4, queued=2, requests_per_s=8.0, models=(SMALL, IDLE)),
        worker(
            "gpu-box-in-the-basement",
            "inference",
            process="q",
            state="degraded",
            reasons=("Its disk is full.",),
            links=LINKS,
            slots=8,
            busy=1,
            requests_per_s=4.2,
            error_rate=0.08,
            cpu=3.4,
            memory_bytes=int(9.3 * 2**30),
            models=(LARGE,),
        ),
    ),
    alerts=(
        alert("queue", severity="warning", state="pending"),
        alert("disk"),
        alert("cpu", severity="warning", silenced_until=NOW + timedelta(hours=1)),
        alert("worker_lost", state="resolved", resolved_at=NOW),
    ),
)
