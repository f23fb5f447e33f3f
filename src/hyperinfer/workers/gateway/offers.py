"""What inference workers have to offer: each model at each worker, as it was last reported and as it has been doing."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from hyperinfer.contracts.inference import BackendStatus, ModelStatus, WorkerStatus
from hyperinfer.kernel.calls import Caller
from hyperinfer.protocol.breaker import Breaker
from hyperinfer.protocol.pace import TYPICAL_TOKENS
from hyperinfer.protocol.routing import LoadEstimate

MAX_MODELS = 256
MAX_BACKENDS = 32
"""Models and backends of a worker that note is taken of at most."""

READY = "ready"
IDLE = "idle"
LOADING = "loading"
USABLE = (READY, IDLE)
"""States in which a request is answered; an idle model is loaded by it."""


class UnderWay(Protocol):
    """A request that a worker has been given."""

    def fallen_silent(self) -> None:
        """The worker reports no more."""


class Offer:
    """One model at one worker: what it reports, how loaded it is, and whether it has been failing."""

    __slots__ = ("breaker", "load_estimate", "status", "worker")

    def __init__(self, worker: "Worker", status: ModelStatus) -> None:
        self.worker = worker
        self.status = status
        self.load_estimate = LoadEstimate()
        self.breaker = Breaker()

    @property
    def usable(self) -> bool:
        """Whether the worker would take a request for it now."""
        return self.status.state in USABLE and self.worker.takes_requests

    def report(self, status: ModelStatus, now: float) -> None:
        """Take what the worker has said of it."""
        before, self.status = self.status, status
        load = self.load_estimate
        load.reported(slots=status.slots, busy=status.busy, queued=status.queued, error_rate=status.error_rate)
        if status.served != before.served or (before is status and status.served):
            # Averages of what every gateway asked for: they tell of workers that this one has not asked lately.
            speed = status.tokens_per_s
            load.pace.told(now, TYPICAL_TOKENS / speed if speed > 0 else status.first_token_s)
        if status.state == READY and before.state not in USABLE:
            load.since = now


class Worker:
    """One inference worker. `live` as long as it reports; a lost one is remembered with what it had."""

    __slots__ = (
        "attempts",
        "backends",
        "caller",
        "draining",
        "hex",
        "key",
        "live",
        "lost_at",
        "name",
        "offers",
        "reports",
        "version",
    )

    def __init__(self, key: bytes, *, name: str, caller: Caller, now: float) -> None:
        self.key = key
        self.hex = key.hex()
        self.caller = caller
        self.name = name
        self.offers: dict[str, Offer] = {}
        self.backends: tuple[BackendStatus, ...] = ()
        self.version = ""
        self.live = False
        self.draining = False
        self.lost_at = now
        self.reports = 0
        self.attempts: set[UnderWay] = set()
        """Requests under way here."""

    @property
    def takes_requests(self) -> bool:
        """Whether it is there, and stays."""
        return self.live and not self.draining

    @property
    def state(self) -> str:
        """`ready`, `draining` or `lost`."""
        return "draining" if self.live and self.draining else READY if self.live else "lost"

    def report(self, status: WorkerStatus, now: float) -> None:
        """Take what the worker says of itself."""
        comes_back = not self.live and self.reports > 0
        told = {model.name: model for model in status.models[:MAX_MODELS]}
        for name in self.offers.keys() - told.keys():
            del self.offers[name]
        for name, model in told.items():
            offer = self.offers.get(name)
            if offer is None:
                offer = self.offers[name] = Offer(self, model)
                offer.load_estimate.since = now
            offer.report(model, now)
            if comes_back:
                offer.load_estimate.since = now
        self.backends = status.backends[:MAX_BACKENDS]
        self.version = status.version
        self.draining = status.draining
        self.live = True
        self.reports += 1


class Offers(Protocol):
    """What there is to choose from."""

    @property
    def offers(self) -> Mapping[str, Sequence[Offer]]:
        """What every worker has, by model."""

    @property
    def any_live(self) -> bool:
        """Whether some worker reports."""

    async def changed(self) -> None:
        """Wait until there is something else to choose from."""
