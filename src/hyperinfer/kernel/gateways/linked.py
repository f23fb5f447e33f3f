"""The contract of a gateway elsewhere: reached by whichever way is known, and never asked the same thing twice."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import Draining, HyperinferError, PeerLost, PeerUnreachable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Link
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.gateways.search import Place, name_of, search_of

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
PASSED_OVER_S = 1.0
"""How long a gateway is left alone that said to be stopping: another one may be there, or its successor soon."""
HEAD_START_S = 0.3
"""How much sooner one key is tried than the next: one that does not answer must not use up the time of all."""
MAX_WAITING = 512
"""Calls that wait for a gateway at most, each of which holds its request."""


class LinkedGateway:
    """The contract of the gateway at some place, or of any gateway there.

    While none can be reached, a call waits for up to `wait_s`. Nothing is sent twice: a call that broke off after it was
    sent fails with `PeerLost`, and whoever made it decides.
    """

    def __init__(self, place: Place, *, peers: Peers, clock: Clock, wait_s: float) -> None:
        self._name = name_of(place)
        self._search = search_of(place, peers=peers, clock=clock)
        self._peers = peers
        self._clock = clock
        self._wait_s = wait_s
        self._link: Link | None = None
        self._last: bytes | None = None
        self._passed_over: dict[bytes, float] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._pause_s = FIRST_PAUSE_S
        self._away_since = clock.monotonic()
        self._trouble: HyperinferError | None = None

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of the gateway. Raises `PeerUnreachable` if none could be reached in time, `PeerLost` if it went
        away meanwhile, and what the method raises."""
        began = self._clock.monotonic()
        while True:
            waited_s = self._clock.monotonic() - began
            link = await self.reach(min(self._wait_s, timeout_s) - waited_s)
            left_s = timeout_s - (self._clock.monotonic() - began)
            try:
                return await self._peers.call_on(link, method, request, meta=meta, timeout_s=left_s, sink=sink)
            except Draining as error:
                if error.details.get("worker") != link.remote_key.hex():  # somebody that it asked is stopping
                    raise
                self._pass_over(link, error)  # it has not begun with it
            except PeerLost as error:
                if not link.closed:  # what it says of somebody that it asked
                    raise
                raise PeerLost(
                    "The connection to the gateway was lost with this request under way. It has not been sent again.",
                    retry_after_s=1,
                ) from error

    async def reach(self, timeout_s: float) -> Link:
        """A link to a gateway that is trusted. Raises `PeerUnreachable` if there is none in time, with a sentence that says
        which, since when and why."""
        if (link := self._ready) is not None:
            return link
        if self._waiting >= MAX_WAITING:
            raise self._unreachable()
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, timeout_s)), self._turn:  # one looks for all
                return await self._found()
        except TimeoutError as error:
            raise self._unreachable() from error
        finally:
            self._waiting -= 1

    @property
    def trouble(self) -> str | None:
        """Why there is no link to a gateway now, in a sentence; nothing where there is one."""
        link = self._link
        return None if link is not None and not link.closed else self._sentence()

    # --- looking for one ------------------------------------------------------------------------------------

    @property
    def _ready(self) -> Link | None:
        link = self._link
        if link is None:
            return None
        if link.closed:
            self._lost(PeerUnreachable("It has gone."))
            return None
        return link if self._search.trusts(link.remote_key) else None

    async def _found(self) -> Link:
        while True:
            if (link := self._ready) is not None:
                return link
            try:
                link = await self._tried()
            except HyperinferError as error:
                self._lost(error)
                await self._clock.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            else:
                self._link, self._last, self._pause_s = link, link.remote_key, FIRST_PAUSE_S
                return link

    async def _tried(self) -> Link:
        """A link to the gateway of before, or else to whoever is found. Raises what stood in the way."""
        last = self._last
        if last is None or self._is_passed_over(last):
            return await self._looked_up()
        return await _first([self._proven(last), self._looked_up()])

    async def _looked_up(self) -> Link:
        keys = [key for key in await self._search.candidates() if not self._is_passed_over(key)]
        if not keys:
            raise Draining("It is stopping.")
        return await _first([self._proven(key) for key in keys])

    async def _proven(self, key: bytes) -> Link:
        """A link to a peer that has proven to be a gateway."""
        link = await self._peers.link(key)
        if not self._search.trusts(key):
            await self._search.prove(key)
        return link

    # --- what is known of it --------------------------------------------------------------------------------

    def _pass_over(self, link: Link, error: Draining) -> None:
        now = self._clock.monotonic()
        self._passed_over = {key: until for key, until in self._passed_over.items() if until > now}
        self._passed_over[link.remote_key] = now + PASSED_OVER_S
        self._lost(error)

    def _is_passed_over(self, key: bytes) -> bool:
        return self._passed_over.get(key, 0.0) > self._clock.monotonic()

    def _lost(self, error: HyperinferError) -> None:
        if self._link is not None:
            self._link, self._away_since = None, self._clock.monotonic()
        self._trouble = error

    def _sentence(self) -> str:
        if self._trouble is None:
            return f"{self._name} is being looked for."
        away_s = self._clock.monotonic() - self._away_since
        since = self._clock.now() - timedelta(seconds=away_s)
        return f"{self._name} has been out of reach for {away_s:.0f} s (since {since:%H:%M:%S} UTC). {self._trouble.message}"

    def _unreachable(self) -> PeerUnreachable:
        reason = self._trouble.details.get("reason") if self._trouble else None
        why = {"reason": reason} if reason else {}
        return PeerUnreachable(self._sentence(), retry_after_s=LONGEST_PAUSE_S, **why)


async def _first(tries: Sequence[Coroutine[Any, Any, Link]]) -> Link:
    """The first link that comes about; each try has a head start before the next. Raises what the last to fail raised."""
    waiting = list(reversed(tries))
    running: set[asyncio.Task[Link]] = set()
    trouble: HyperinferError | None = None
    try:
        while waiting or running:
            if waiting:
                task = asyncio.create_task(waiting.pop(), name="gateway")
                task.add_done_callback(_observe)
                running.add(task)
            done, running = await asyncio.wait(
                running, timeout=HEAD_START_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                try:
                    return task.result()
                except HyperinferError as error:
                    trouble = error
    finally:
        for task in running:
            task.cancel()
        for left in waiting:
            left.close()
    assert trouble is not None
    raise trouble


def _observe(task: asyncio.Task[Link]) -> None:
    """Look at a result that nobody may be waiting for any more."""
    with suppress(asyncio.CancelledError):
        task.exception()
