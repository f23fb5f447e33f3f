"""The swarm in a few numbers: what its gateways answer, what its models make. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hyperinfer.sdk import Figures, SystemHealth


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the workers, none where no worker tells. Requests are those of gateways, so that none is counted at each
    worker that it goes through; `latency_p95_s` is that of the slowest gateway, `first_token_s` what gateways see of streams, else what engines measure."""

    requests_per_s: float | None
    error_rate: float | None
    latency_p95_s: float | None
    in_flight: int | None
    tokens_per_s: float | None
    first_token_s: float | None
    slots: int | None
    busy: int | None
    queued: int | None


def totals(health: "SystemHealth") -> Totals:
    """Of the workers that answer."""
    there = [worker for worker in health.workers if worker.state not in ("lost", "never_seen")]
    gateways = [worker.figures for worker in there if worker.wtype == "gateway"]
    engines = [worker.figures for worker in there if worker.wtype == "inference"]
    return Totals(
        requests_per_s=_sum(one.requests_per_s for one in gateways),
        error_rate=_errors(gateways),
        latency_p95_s=max((one.latency_p95_s for one in gateways if one.latency_p95_s is not None), default=None),
        in_flight=_count(one.in_flight for one in gateways),
        tokens_per_s=_sum(one.tokens_per_s for one in gateways),
        first_token_s=_mean(one.first_token_s for one in gateways) or _mean(one.first_token_s for one in engines),
        slots=_count(one.slots for one in engines),
        busy=_count(one.busy for one in engines),
        queued=_count(one.queued for one in engines),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _count(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _errors(gateways: "list[Figures]") -> float | None:
    """The share of all their requests; where none is under way, of none."""
    known = [(one.error_rate, one.requests_per_s or 0.0) for one in gateways if one.error_rate is not None]
    if not known:
        return None
    asked = sum(weight for _, weight in known)
    return sum(rate * weight for rate, weight in known) / asked if asked else max(rate for rate, _ in known)
