"""Workers with slots and queues in simulated time, and requests that are given to them by the choice that is looked at."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from random import Random

from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.testing.fleet import ADA, FakeFleet, model
from hyperinfer.workers.gateway.balance import Balance, Taken
from hyperinfer.workers.gateway.catalogue import Catalogue
from hyperinfer.workers.gateway.offers import Offer

SLOTS = 4
MEAN_TOKENS, TOKEN_S, FIRST_S = 120, 0.01, 0.1
REPORT_S = 1.0
SETTLING = 0.1
"""Share of requests at the beginning that are not counted."""


class SimulatedClock:
    """Time that the simulation sets."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return datetime.fromtimestamp(self.time_s, UTC)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        """Nothing sleeps here."""
        raise NotImplementedError


@dataclass(eq=False)
class Request:
    """One request: how many tokens it takes, when it came, when it got its slot, and that it is counted."""

    tokens: int
    came_s: float
    began_s: float = 0.0
    taking: ExitStack = field(default_factory=ExitStack)
    taken: Taken | None = None


@dataclass(eq=False)
class SimulatedWorker:
    """Slots that answer at one speed, `slowness` times the usual time for a token; and who waits for them."""

    offer: Offer
    slowness: float
    waiting: deque[Request] = field(default_factory=deque)
    busy: int = 0
    served: int = 0

    def takes_s(self, request: Request) -> float:
        """How long a request is in its slot."""
        return self.slowness * (FIRST_S + request.tokens * TOKEN_S)


Choose = Callable[[Sequence[SimulatedWorker]], SimulatedWorker]


class Simulation:
    """Requests that come at random, so many that `use` of all slots is taken on average."""

    def __init__(self, slowness: Sequence[float], *, use: float, seed: int) -> None:
        self.chance = Random(seed)
        self.clock = SimulatedClock()
        self.fleet = FakeFleet()
        self.workers = [SimulatedWorker(self.fleet.add(model(slots=SLOTS)).offers["m"], one) for one in slowness]
        self.balance = Balance(self.fleet, clock=self.clock, wait_s=0, loading_wait_s=0, chance=self.chance)
        self.wanted = Catalogue(self.fleet, dict, clock=self.clock, default_model="").wanted("m", ADA)
        self._by_offer = {worker.offer: worker for worker in self.workers}
        mean_s = FIRST_S + MEAN_TOKENS * TOKEN_S
        self._rate = use * sum(SLOTS / (mean_s * one) for one in slowness)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._times_s: list[float] = []

    def ours(self, _: Sequence[SimulatedWorker]) -> SimulatedWorker:
        """As the gateway chooses."""
        offer = self.balance.choose_now(self.wanted)
        assert offer is not None
        return self._by_offer[offer]

    def run(self, choose: Choose, requests: int) -> list[float]:
        """How long each request took, in seconds."""
        self._at(REPORT_S, self._report)
        came_s = 0.0
        for _ in range(requests):
            came_s += self.chance.expovariate(self._rate)
            tokens = max(1, int(self.chance.expovariate(1 / MEAN_TOKENS)))
            self._at(came_s, partial(self._come, choose, Request(tokens, came_s)))
        while len(self._times_s) < requests:
            self.clock.time_s, _, event = heapq.heappop(self._events)
            event()
        return self._times_s[int(requests * SETTLING) :]

    def _at(self, time_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), event))

    def _come(self, choose: Choose, request: Request) -> None:
        worker = choose(self.workers)
        request.taken = request.taking.enter_context(self.balance.taking(worker.offer))
        worker.waiting.append(request)
        self._fill(worker)

    def _fill(self, worker: SimulatedWorker) -> None:
        while worker.waiting and worker.busy < SLOTS:
            request = worker.waiting.popleft()
            request.began_s = self.clock.time_s
            worker.busy += 1
            self._at(self.clock.time_s + worker.takes_s(request), partial(self._end, worker, request))

    def _end(self, worker: SimulatedWorker, request: Request) -> None:
        worker.busy -= 1
        worker.served += 1
        took_s, queued_s = self.clock.time_s - request.came_s, request.began_s - request.came_s
        self._times_s.append(took_s)
        processed = Processed(
            Usage(completion_tokens=request.tokens),
            "stop",
            "m",
            queued_s=queued_s,
            first_token_s=queued_s + worker.slowness * FIRST_S,
            duration_s=took_s,
        )
        assert request.taken is not None
        request.taken.answered(processed)
        request.taking.close()
        self._fill(worker)

    def _report(self) -> None:
        for worker in self.workers:
            status = model(
                slots=SLOTS,
                busy=worker.busy,
                queued=len(worker.waiting),
                served=worker.served,
                tokens_per_s=1 / (TOKEN_S * worker.slowness) if worker.served else 0.0,
                first_token_s=FIRST_S * worker.slowness if worker.served else 0.0,
            )
            worker.offer.report(status, self.clock.time_s)
        self._at(self.clock.time_s + REPORT_S, self._report)
