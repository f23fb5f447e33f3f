"""What administrators ask of the swarm's health, and its reports: passed on to the metrics worker, which knows gateways and no people."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog

from hyperinfer.contracts import metrics, reports
from hyperinfer.contracts.audit import Operation
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.method import Meta, Method
from hyperinfer.contracts.metrics import LIST_ALERTS, SILENCE_ALERT, WATCH_SYSTEM, AlertQuery, SilenceAlert, at_metrics
from hyperinfer.errors import (
    BadRequest,
    DeadlineExceeded,
    Draining,
    Forbidden,
    NotFound,
    PeerUnreachable,
    Unavailable,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Authenticate, Call, Caller, Route, Send, route

Q = TypeVar("Q")
R = TypeVar("R")

Note = Callable[[Operation, Call], Awaitable[None]]
"""Has something written to the audit log. Raises `Unavailable`."""

PASSED_ON: tuple[Method[Any, Any], ...] = (*metrics.PASSED_ON, *reports.PASSED_ON)
CHECK_AGAIN_S = 5.0
"""How old a look at the credential may be where something of a stream is passed on: a key that was revoked, a session that
has ended and an administrator who is none any more see no more of it."""
NOBODY = "No metrics worker of this swarm can be reached. `hyperinfer up` runs one, `hyperinfer worker --wtype metrics` another."

log = structlog.get_logger(__name__)


class Observing:
    """Passes administrators' questions on. A stream is relayed as fast as its reader takes it; who silences an alert is in the
    audit log before it is silent."""

    def __init__(self, metrics_worker: Caller, authenticate: Authenticate, *, clock: Clock, note: Note) -> None:
        self._metrics = metrics_worker
        self._authenticate = authenticate
        self._clock = clock
        self._note = note
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the streams: they would go on for as long as anybody watches, and the gateway is to stop."""
        self._stopping.set()

    def routes(self) -> Sequence[Route]:
        """Every method that is passed on."""
        return tuple(map(self._passed_on, PASSED_ON))

    async def pass_on(self, method: Method[Q, R], request: Q, call: Call) -> R:
        """Have the metrics worker answer. Raises `Unavailable` where there is none, and what it refuses with; an alert is not
        silenced either while auth is away, which would write down by whom."""
        if method == WATCH_SYSTEM and call.send is None:
            raise BadRequest(f"{method.name} is a stream: ask for one.", param="stream")
        try:
            if isinstance(request, SilenceAlert):
                await self._note_silence(request, call)
            if call.send is None:
                reply = await self._ask(method, request, call)
            else:
                async with background(self._until_stopping(), name="watching"):
                    reply = await self._ask(method, request, call, sink=self._while_admitted(call.send, call))
        except PeerUnreachable as error:
            raise Unavailable(NOBODY, retry_after_s=30, service="metrics") from error
        if method == SILENCE_ALERT and isinstance(request, SilenceAlert):
            log.info("alert_silenced", alert=request.id, minutes=request.minutes, by=call.principal.user_id)
        return reply

    async def _note_silence(self, request: SilenceAlert, call: Call) -> None:
        """Have it written down which alert is silenced, if it is one: what else an id might say is kept nowhere.

        While auth is away the log alone has it: that very alert would otherwise call for its operator again and again.
        """
        listed = await self._ask(LIST_ALERTS, AlertQuery(), call)
        alert = next((one for one in listed.alerts if one.id == request.id), None)
        if alert is None:
            raise NotFound("No such alert is open: `hyperinfer alerts` lists those that are.", param="id")
        details = {"alert": alert.id, "rule": alert.rule, "minutes": str(request.minutes)}
        try:
            await self._note(Operation(action="alert.silenced", details=details), call)
        except Unavailable:
            log.warning("not_in_audit_log", action="alert.silenced", alert=alert.id, by=call.principal.user_id)

    async def _ask(self, method: Method[Q, R], request: Q, call: Call, sink: Send | None = None) -> R:
        timeout_s = call.deadline - self._clock.monotonic()
        if timeout_s <= 0:
            raise DeadlineExceeded("There was no time left to ask the metrics worker.")
        meta = Meta(request_id=call.meta.request_id, traceparent=call.meta.traceparent, remote=call.remote)
        return await self._metrics.call(at_metrics(method), request, meta=meta, timeout_s=timeout_s, sink=sink)

    async def _until_stopping(self) -> None:
        await self._stopping.wait()
        raise Draining("This gateway is stopping; watch by another, or again shortly.", retry_after_s=1)

    def _while_admitted(self, send: Send, call: Call) -> Send:
        """Where the chunks of a stream go, for as long as whoever asked may still see them."""
        checked_at = self._clock.monotonic()

        async def relay(chunks: Sequence[bytes]) -> None:
            nonlocal checked_at
            if self._clock.monotonic() - checked_at >= CHECK_AGAIN_S:
                _check_admin(await self._authenticate(call))
                checked_at = self._clock.monotonic()
            await send(chunks)

        return relay

    def _passed_on(self, method: Method[Any, Any]) -> Route:
        async def handler(request: Any, call: Call) -> Any:
            return await self.pass_on(method, request, call)

        return route(method, handler)


def _check_admin(who: Principal) -> None:
    if who.role != "admin" or (who.scopes is not None and "admin" not in who.scopes):
        raise Forbidden("This is for administrators.")
