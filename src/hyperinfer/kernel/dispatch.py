"""Dispatch: from a method's name and bytes to a handler's reply, with access, size, deadline and drain checked first."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec
import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.method import Envelope, Meta, Method
from hyperinfer.errors import (
    BadRequest,
    DeadlineExceeded,
    Draining,
    Forbidden,
    HyperinferError,
    InternalError,
    Overloaded,
    TooLarge,
    Unauthenticated,
    UnknownMethod,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Link
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel.calls import Authenticate, Call, Route, Send
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.observation import Observation, Seen
from hyperinfer.protocol import rpc_errors, streams

log = structlog.get_logger(__name__)

MAX_DEADLINE_S = 3600.0
"""A call without a deadline gets this one."""
MAX_IN_FLIGHT = 4096
STRANGER_IN_FLIGHT = 256
"""Calls without a valid credential that may be under way from one host, of those who are no members: behind one address may
be a whole office."""
STRANGER_BYTES = 64 * 1024
"""Largest call that a stranger may make without a valid credential."""

NOTHING = (b"", b"null")
"""What JavaScript peers send where there is nothing to say."""

_envelope = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


class Dispatcher:
    """Answers the calls of one worker, from peers (`Inbound`) and from inside its own process (`dispatch`)."""

    def __init__(
        self,
        *,
        members: Members,
        clock: Clock,
        running: Streams,
        own_key: bytes,
        observation: Observation | None = None,
    ) -> None:
        self._members = members
        self._clock = clock
        self._streams = running
        self._own_key = own_key
        self._routes: dict[str, Route] = {}
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._authenticate: Authenticate | None = None
        self._invited: Callable[[], frozenset[bytes]] = frozenset
        self._in_flight = 0
        self._quiet_in_flight = 0
        self._strangers: dict[str, int] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._observation = observation or Observation("worker", registry=CollectorRegistry())
        self._observation.show_in_flight(lambda: self._in_flight - self._quiet_in_flight)

    @property
    def methods(self) -> tuple[str, ...]:
        """Every name that calls and events may have."""
        events = [name + streams.CANCEL for name in self._routes]
        events += [name + streams.MORE for name, route in self._routes.items() if route.method.streams]
        return (*self._routes, *events)

    @property
    def draining(self) -> bool:
        """Whether new calls are refused because the worker is stopping."""
        return self._draining

    @property
    def in_flight(self) -> int:
        """Calls being answered now."""
        return self._in_flight

    def serve(
        self,
        routes: Iterable[Route],
        authenticate: Authenticate | None,
        *,
        invited: Callable[[], frozenset[bytes]] = frozenset,
    ) -> None:
        """Answer these routes from now on; `invited` gives the keys that may do what an invite allows, and no more."""
        self._authenticate = authenticate
        self._invited = invited
        for route in routes:
            for name in route.method.names:
                if name in self._routes:
                    raise InternalError(f"Two methods answer to {name}.")
                self._routes[name] = route
                self._decoders[name] = msgspec.json.Decoder(route.method.request)

    async def drain(self, timeout_s: float) -> bool:
        """Refuse new calls and wait for those that run; says whether all ended in time."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    # --- from inside the process --------------------------------------------------------------------------

    async def dispatch(
        self, method: Method[Any, Any], request: Any, *, caller: bytes, meta: Meta, timeout_s: float, send: Send | None
    ) -> Any:
        """Answer a call that needs no decoding; raises what the handler raises, and every refusal, as errors."""
        route = self._route(method.name)
        remote = meta.remote or "here"
        with self._observation.call(route.method) as seen, self._counted(route.method, caller, remote) as counted:
            seen.goes_on(meta)
            call = await self._admit(route.method, caller, seen, min(timeout_s, _remaining_s(meta)), 0, remote)
            if call.who is not None:
                counted.known()
            return await self._run(route, request, replace(call, send=send) if send else call)

    # --- from peers: the Inbound side of the net port -----------------------------------------------------

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        """Answer a peer's call; every failure becomes the error string of the wire."""
        try:
            return _encoder.encode(await self._answer(link, method, payload))
        except HyperinferError as error:
            return rpc_errors.encode(error)
        except Exception:  # the edge of RPC: a fault of ours is logged once and hides its internals
            log.exception("call_failed", method=method)
            return rpc_errors.encode(InternalError("This failed inside hyperinfer; the operator's log says why."))

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        """A peer grants credit to a stream, or cancels a call."""
        self._streams.on_event(link, method, payload)

    def on_open(self, link: Link) -> None:
        """A peer has connected."""

    def on_close(self, link: Link) -> None:
        """A peer has gone; the net cancels what it asked for."""

    async def _answer(self, link: Link, method: str, payload: bytes) -> Any:
        route = self._route(method)
        with (
            self._observation.call(route.method) as seen,
            self._counted(route.method, link.remote_key, _host(link)) as counted,
        ):
            if payload in NOTHING:
                payload = b"{}"
            envelope = _decode(_envelope, payload, method)
            seen.carries(envelope.meta, trusted=bool(self._members.roles(link.remote_key)))
            # First of all, so that its caller's cancelling reaches it wherever it waits from here on.
            async with self._streams.open(link, method, envelope) as sink:
                remaining_s, remote, size = _remaining_s(envelope.meta), _host(link), len(payload)
                call = await self._admit(route.method, link.remote_key, seen, remaining_s, size, remote)
                if call.who is not None:
                    counted.known()
                data = payload if envelope.data is msgspec.UNSET else envelope.data
                request = _decode(self._decoders[method], data, method)
                if sink is not None and route.method.streams:
                    call = replace(call, send=sink.send)
                return await self._run(route, request, call)

    # --- common to both -----------------------------------------------------------------------------------

    def _route(self, method: str) -> Route:
        route = self._routes.get(method)
        if route is None:
            self._observation.refused(UnknownMethod.code)
            raise UnknownMethod(f"There is no method {method[:64]!r} here.")
        return route

    def _counted(self, method: Method[Any, Any], caller: bytes, host: str) -> "_Counted":
        if self._draining:
            raise Draining("This worker is stopping; ask another.", retry_after_s=1, worker=self._own_key.hex())
        if self._in_flight >= MAX_IN_FLIGHT:
            raise Overloaded("Too many calls are in flight here; try again shortly.", retry_after_s=1)
        stranger = caller != self._own_key and not self._members.roles(caller)
        if stranger and self._strangers.get(host, 0) >= STRANGER_IN_FLIGHT:
            raise Overloaded("Too many calls of yours are in flight here; try again shortly.", retry_after_s=1)
        return _Counted(self, host, stranger=stranger, quiet=method.quiet)

    async def _admit(
        self, method: Method[Any, Any], caller: bytes, seen: Seen, remaining_s: float, size_bytes: int, remote: str
    ) -> Call:
        if remaining_s <= 0:
            raise DeadlineExceeded("The time allowed for this call had passed when it arrived.")
        roles = self._members.roles(caller)
        deadline = self._clock.monotonic() + remaining_s
        meta = seen.meta
        call = Call(caller=caller, roles=roles, meta=meta, deadline=deadline, remote=remote, note=seen.note)
        access = method.access
        if access.kind == "invited" or (not roles and caller in self._invited()):
            return self._admit_invited(method, call, size_bytes)
        if access.kind == "members":
            if not roles & access.roles:
                raise Forbidden(f"{method.name} may be called by {', '.join(sorted(access.roles))} only.")
            return call
        if access.kind == "public":
            if size_bytes > STRANGER_BYTES and not roles:
                raise TooLarge("This call is too large without a credential.", limit_bytes=STRANGER_BYTES)
            return call
        if self._authenticate is None:
            raise Forbidden(f"{method.name} cannot be called here.")
        if not meta.key:
            raise Unauthenticated("This needs a session token or an API key.")
        principal = await self._authenticate(call)
        if access.kind != "user" and principal.role != "admin":
            raise Forbidden(f"{method.name} is for administrators.")
        if principal.scopes is not None and access.scope not in principal.scopes:
            raise Forbidden(_out_of_scope(access.scope))
        return replace(call, who=principal)

    def _admit_invited(self, method: Method[Any, Any], call: Call, size_bytes: int) -> Call:
        if method.access.kind != "invited":
            raise Forbidden(f"An invite allows to join, and not to call {method.name}.")
        if call.roles or call.caller not in self._invited():
            raise Forbidden(f"{method.name} may be called with an open invite only.")
        if size_bytes > STRANGER_BYTES:
            raise TooLarge("This call is too large for an invite.", limit_bytes=STRANGER_BYTES)
        return call

    async def _run(self, route: Route, request: Any, call: Call) -> Any:
        timeout = asyncio.timeout(max(0.0, call.deadline - self._clock.monotonic()))
        try:
            async with timeout:
                return await route.handler(request, call)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise DeadlineExceeded(f"{route.method.name} did not end within the time allowed.") from error


class _Counted:
    """Counts one call in and out; a stranger's as one until a credential says whose it is."""

    __slots__ = ("_dispatcher", "_host", "_quiet", "_stranger")

    def __init__(self, dispatcher: Dispatcher, host: str, *, stranger: bool, quiet: bool) -> None:
        self._dispatcher = dispatcher
        self._host = host
        self._quiet = quiet
        self._stranger = stranger

    def __enter__(self) -> Self:
        owner = self._dispatcher
        owner._in_flight += 1
        owner._quiet_in_flight += self._quiet
        owner._idle.clear()
        if self._stranger:
            owner._strangers[self._host] = owner._strangers.get(self._host, 0) + 1
        return self

    def known(self) -> None:
        """It is somebody's, whose own limits hold: behind one peer, such as a bridge, there may be many people."""
        if not self._stranger:
            return
        self._stranger = False
        owner = self._dispatcher
        left = owner._strangers.pop(self._host) - 1
        if left:
            owner._strangers[self._host] = left

    def __exit__(self, *_: object) -> None:
        self.known()
        owner = self._dispatcher
        owner._in_flight -= 1
        owner._quiet_in_flight -= self._quiet
        if not owner._in_flight:
            owner._idle.set()


def _host(link: Link) -> str:
    """Where a peer calls from: its host, or where that is not known, itself. Its own word is not taken for it."""
    return link.remote_host or f"peer {link.remote_key.hex()[:16]}"


def _out_of_scope(scope: str) -> str:
    if scope == "session":
        return "This takes a session, not an API key: log in."
    return f"This API key may not do that: it lacks the scope {scope!r}."


def _remaining_s(meta: Meta) -> float:
    return MAX_DEADLINE_S if meta.deadline_ms is None else min(meta.deadline_ms / 1000, MAX_DEADLINE_S)


def _decode(decoder: msgspec.json.Decoder[Any], payload: bytes | msgspec.Raw, method: str) -> Any:
    try:
        return decoder.decode(payload)
    except RecursionError as error:
        raise BadRequest(f"{method}: the request is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise BadRequest(f"{method}: {error}.", param=_path(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{method}: the request is not JSON in UTF-8.") from error


def _path(text: str) -> str:
    """The place in a message of msgspec's, such as "Expected `int`, got `str` - at `$.max_tokens`"."""
    return text.rpartition("`$.")[2].rstrip("`") if "`$." in text else ""
