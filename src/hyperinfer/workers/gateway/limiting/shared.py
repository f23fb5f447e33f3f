"""Limits counted in Redis for several gateways together; while it is away, by each gateway for its share.

A gateway remembers what it has admitted itself (`own`), and what of that Redis has not been told (`unshared`). When Redis is
back it is told; if it has lost what it knew, it is told everything.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count, islice

import structlog

from hyperinfer.contracts.limits import Subject
from hyperinfer.errors import StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.limits import Hold, Ledger, Reading, Standing, merged, refusal, rows_of, rules_of
from hyperinfer.workers.gateway.journal.lines import TokenWindow
from hyperinfer.workers.gateway.limiting.memory import restore, to_keep
from hyperinfer.workers.gateway.limiting.port import Admission, Flight, Keep
from hyperinfer.workers.gateway.limiting.store import Contribution, RedisStore, StoreAway, StoreRefuses

TRY_EVERY_S = 1.0
RENEW_EVERY_S = 8.0
RENEWED_AT_ONCE = 500

log = structlog.get_logger(__name__)


class SharedLimiter:
    """A limiter for one of several gateways; `gateways` says of how many.

    No request waits for Redis longer than the store's deadline, and none at all once Redis is known to be away.
    """

    def __init__(
        self,
        store: RedisStore,
        clock: Clock,
        *,
        gateways: Callable[[], int],
        max_logged: int,
        keep: Keep,
        kept: Iterable[TokenWindow] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._gateways = gateways
        self._max_logged = max_logged
        self._keep = keep
        self._own = Ledger(max_entries=max_logged)
        self._unshared = Ledger(max_entries=max_logged)
        self._flights: dict[str, Flight] = {}
        self._ended: dict[str, tuple[Sequence[str], int]] = {}
        self._outbox: deque[Contribution] = deque()
        self._run_id = secrets.token_hex(8)
        self._numbers = count()
        self._renewed_at = clock.monotonic()
        self._went_at = clock.monotonic()
        self.degraded: str | None = None
        restore(self._own, kept)

    # --- requests -------------------------------------------------------------------------------------------

    async def admit(self, subjects: Sequence[Subject], *, tokens: int) -> Admission:
        """Let a request in. Raises `RateLimited`, `Overloaded`."""
        limited = [subject for subject in subjects if rules_of(subject.limits).has_any]
        if not limited or self.degraded is not None:
            return self._admit_alone(limited, tokens)
        flight_id = self._new_id()
        try:
            fits, readings = await self._store.admit(flight_id, limited, tokens)
        except StoreAway as error:
            self._void(flight_id, limited)
            self._went(error)
            return self._admit_alone(limited, tokens)
        except asyncio.CancelledError:
            self._void(flight_id, limited)
            raise
        standing = _standing(limited, readings)
        if not fits:
            raise refusal(standing, tokens)
        now, at_s = self._times()
        hold = self._own.count(limited, tokens=tokens, now=now, at_s=at_s)
        return Admission(hold, standing, self._flight(flight_id, limited, hold))

    async def settle(self, admission: Admission, *, tokens: int) -> None:
        """A request has ended."""
        if admission.is_settled:
            return
        admission.is_settled = True
        if changed := self._own.settle(admission.hold, tokens=tokens):
            self._keep(to_keep(changed))
        flight = admission.flight
        if flight is None:
            return
        del self._flights[flight.id]
        if flight.unshared is not None:
            self._unshared.settle(flight.unshared, tokens=tokens)
            return
        self._ended[flight.id] = (flight.subjects, tokens)
        if self.degraded is None:
            try:
                await self._tell_end(flight.id)
            except StoreAway as error:
                self._went(error)

    async def look(self, subjects: Sequence[Subject]) -> Standing:
        """How subjects stand."""
        limited = [subject for subject in subjects if rules_of(subject.limits).has_any]
        if limited and self.degraded is None:
            try:
                return _standing(limited, await self._store.look(limited))
            except StoreAway as error:
                self._went(error)
        now, at_s = self._times()
        return self._own.standing(limited, now=now, at_s=at_s, share=self._share)

    def charge(self, subject: str, *, tokens: int, at: datetime) -> None:
        """Count tokens of a request that was cut."""
        self._keep(to_keep(self._own.charge(subject, tokens=tokens, at_s=at.timestamp())))
        self._unshared.charge(subject, tokens=tokens, at_s=at.timestamp())

    # --- Redis, away and back -------------------------------------------------------------------------------

    async def open(self) -> None:
        """Reach Redis, if it can be. Raises `StartError` if it does not let us in."""
        try:
            await self._come_back()
        except StoreRefuses as error:
            raise StartError(f"The Redis of limits.redis_url cannot be used: {error.message}") from error
        except StoreAway as error:
            self._went(error)

    async def run(self) -> None:
        """Keep Redis up to date, or try to reach it, each second until cancelled."""
        while True:
            await self._clock.sleep(TRY_EVERY_S)
            await self.step()

    async def step(self) -> None:
        """Do what there is to do now."""
        try:
            if self.degraded is None:
                await self._keep_up()
        except StoreAway as error:
            self._went(error)
        try:
            if self.degraded is not None:
                await self._come_back()
        except StoreAway:
            return  # it was said when it went

    async def _keep_up(self) -> None:
        await self._store.check()
        await self._deliver()
        await self._renew()

    async def _come_back(self) -> None:
        """Tell Redis what it does not know; when it knows all, count there again."""
        if not await self._store.open():
            self._begin_anew()
        await self._deliver()
        await self._store.remember()
        while self._unshared or self._ended:
            await self._deliver()
        if self.degraded is not None:
            log.info("limits_shared_again", away_s=round(self._clock.monotonic() - self._went_at, 1))
            self.degraded = None

    def _went(self, error: StoreAway) -> None:
        if self.degraded is None:
            self._went_at = self._clock.monotonic()
            log.warning("limits_not_shared", reason=error.message, consequence="each gateway counts its share alone")
            self.degraded = (
                f"Limits are counted by each gateway for its share: Redis cannot be used ({error.message.rstrip('.')})."
            )

    def _begin_anew(self) -> None:
        """Redis knows nothing: it is to be told all that this gateway has admitted."""
        self._outbox.clear()
        self._ended.clear()
        self._pack(self._own, list(self._flights.values()))

    def _pack(self, ledger: Ledger, flights: Iterable[Flight]) -> None:
        """Put what a ledger holds into the outbox; what was unshared is on its way then."""
        self._unshared = Ledger(max_entries=self._max_logged)
        self._outbox.extend(self._contributions(ledger, flights))
        for flight in flights:
            flight.unshared = None

    def _contributions(self, ledger: Ledger, flights: Iterable[Flight]) -> Iterator[Contribution]:
        by_subject: dict[str, list[Flight]] = {}
        for flight in flights:
            for subject in flight.subjects:
                by_subject.setdefault(subject, []).append(flight)
        for bucket in ledger:
            yield Contribution(
                id=self._new_id(),
                subject=bucket.subject,
                requests=[(length_s, entries.copy()) for length_s, entries in bucket.logs.items()],
                tokens=[(one.kind, one.start, one.used) for one in bucket.spent.values()],
                flights=[
                    (flight.id, flight.hold.tokens, _spans(flight.hold, bucket.subject))
                    for flight in by_subject.get(bucket.subject, ())
                ],
            )

    async def _deliver(self) -> None:
        """Tell Redis of what was counted here, and which requests have ended."""
        if not self._outbox and self._unshared:
            self._pack(self._unshared, [one for one in self._flights.values() if one.unshared is not None])
        while self._outbox:
            await self._store.adopt(self._outbox[0], now=self._clock.monotonic())
            self._outbox.popleft()
        for flight_id in list(self._ended):
            await self._tell_end(flight_id)

    async def _tell_end(self, flight_id: str) -> None:
        if ended := self._ended.get(flight_id):
            await self._store.settle(flight_id, *ended)
            self._ended.pop(flight_id, None)

    async def _renew(self) -> None:
        now = self._clock.monotonic()
        if now - self._renewed_at < RENEW_EVERY_S:
            return
        self._renewed_at = now
        by_subject: dict[str, list[str]] = {}
        for flight in self._flights.values():
            for subject in flight.subjects:
                by_subject.setdefault(subject, []).append(flight.id)
        subjects = iter(by_subject.items())
        while some := dict(islice(subjects, RENEWED_AT_ONCE)):
            await self._store.renew(some)

    # --- alone ----------------------------------------------------------------------------------------------

    @property
    def _share(self) -> int:
        return max(1, self._gateways())

    def _admit_alone(self, subjects: Sequence[Subject], tokens: int) -> Admission:
        now, at_s = self._times()
        share = self._share
        hold = self._own.admit(subjects, tokens=tokens, now=now, at_s=at_s, share=share)
        standing = self._own.standing_of(hold, now=now, at_s=at_s, share=share)
        unshared = self._unshared.count(subjects, tokens=tokens, now=now, at_s=at_s)
        return Admission(hold, standing, self._flight(self._new_id(), subjects, hold, unshared))

    def _flight(
        self, flight_id: str, subjects: Sequence[Subject], hold: Hold, unshared: Hold | None = None
    ) -> Flight | None:
        """A request under way, if it matters when it ends."""
        followed = [subject.id for subject in subjects if rules_of(subject.limits).follows]
        if not followed:
            return None
        flight = self._flights[flight_id] = Flight(flight_id, followed, hold, unshared)
        return flight

    def _void(self, flight_id: str, subjects: Sequence[Subject]) -> None:
        """Nobody heard whether it was let in: whatever it holds in Redis is to be given back."""
        self._ended[flight_id] = ([subject.id for subject in subjects], 0)

    def _times(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now().timestamp()

    def _new_id(self) -> str:
        return f"{self._run_id}-{next(self._numbers)}"


def _standing(subjects: Sequence[Subject], readings: Sequence[Reading]) -> Standing:
    return merged(
        [rows_of(one.id, rules_of(one.limits), reading) for one, reading in zip(subjects, readings, strict=True)]
    )


def _spans(hold: Hold, subject: str) -> dict[str, int]:
    """In which windows of a subject tokens are held."""
    return {spent.kind: start for spent, start in hold.spent if spent.subject == subject}
