"""Peers: typed calls to other workers, over links that are made when needed, kept, and given up when they fail."""

import asyncio
import itertools
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import msgspec

from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import PeerLost, PeerUnreachable, RemoteError, UnknownMethod
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Endpoint, Link
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.protocol import rpc_errors, streams
from hyperinfer.protocol.link_words import REFUSED
from hyperinfer.protocol.typed_json import UNREADABLE

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
MAX_REMEMBERED = 1024
"""Failures and look-ups that are remembered at most."""

OK = "ok"
LOOKED_S = 60.0

_encode = msgspec.json.Encoder().encode

Push = Callable[[Sequence[bytes]], Awaitable[None]]


class _Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """The envelope of a request as it is sent; see `contracts.method.Envelope`."""

    data: Any
    meta: Meta
    id: int
    stream: bool = False
    window: int | None = None


@dataclass(slots=True)
class _Reading:
    """One streamed call of ours."""

    receiving: streams.Receiving
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failure: RemoteError | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A peer that could not be reached: why, since when, when it may be tried again (by the clock's monotonic time), and how long
    the pause was."""

    error: PeerUnreachable
    since: datetime
    until: float
    pause_s: float

    @property
    def reason(self) -> str:
        """Why, in a word; see `driver.unreachable`."""
        return str(self.error.details.get("reason", REFUSED))


class Peers:
    """The peers of one endpoint. An async context manager: leaving it closes every link that it made."""

    def __init__(self, endpoint: Endpoint, *, clock: Clock, settings: NetSettings) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._settings = settings
        self._links: OrderedDict[bytes, Link] = OrderedDict()
        self._connecting: dict[bytes, asyncio.Task[Link]] = {}
        self._failures: OrderedDict[bytes, Failure] = OrderedDict()
        self._connects: Counter[str] = Counter()
        self._found: OrderedDict[bytes, tuple[float, list[bytes]]] = OrderedDict()
        self._looked: OrderedDict[bytes, tuple[float, frozenset[bytes]]] = OrderedDict()
        self._reading: dict[tuple[Link, streams.StreamId], _Reading] = {}
        self._ids = itertools.count(1)
        self._decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in tuple(self._connecting.values()):
            task.cancel()
        for link in tuple(self._links.values()):
            link.close()

    # --- finding and connecting -----------------------------------------------------------------------------

    async def find(self, topic: bytes) -> list[bytes]:
        """Keys announced under a topic, from the cache where they are fresh; nobody is not remembered.

        Raises `Unavailable` errors of the net if the look-up fails.
        """
        now = self._clock.monotonic()
        cached = self._found.get(topic)
        if cached is not None and cached[0] > now and cached[1]:
            return list(cached[1])
        return await self.find_now(topic)

    async def find_now(self, topic: bytes) -> list[bytes]:
        """Keys announced under a topic, looked up anew."""
        keys = await self._endpoint.lookup(topic)
        self._looked[topic] = (self._clock.monotonic(), frozenset(keys))
        _trim(self._looked)
        if keys:
            self._found[topic] = (self._clock.monotonic() + self._settings.lookup_cache_s, list(keys))
            _trim(self._found)
        return keys

    async def link(self, key: bytes) -> Link:
        """An open link to a peer; one is made, once for all who wait for it, if there is none.

        Raises `PeerUnreachable`, at once while the pause after a failure lasts.
        """
        link = self._links.get(key)
        if link is not None and not link.closed:
            self._links.move_to_end(key)
            return link
        task = self._connecting.get(key)
        if task is None:
            failure = self._failures.get(key)
            if failure is not None and failure.until > self._clock.monotonic():
                raise PeerUnreachable(failure.error.message, **failure.error.details)
            task = self._connecting[key] = asyncio.create_task(self._connect(key), name=f"connect {key.hex()[:8]}")
            task.add_done_callback(_observe)
        return await asyncio.shield(task)

    def forget(self, key: bytes) -> None:
        """Close the link to a peer, as when it is a member no more."""
        link = self._links.pop(key, None)
        if link is not None:
            link.close()

    # --- what came of it ------------------------------------------------------------------------------------

    @property
    def connects(self) -> Mapping[str, int]:
        """How many connections were tried, by outcome: `ok`, or why not."""
        return self._connects

    def failure(self, key: bytes) -> Failure | None:
        """Why a peer was not reached when it was last tried; none if it was, or has not been tried."""
        return self._failures.get(key)

    def last_found(self, topic: bytes) -> frozenset[bytes] | None:
        """Who was found under a topic when it was last looked up; none if that has not been within the last minute."""
        at, keys = self._looked.get(topic, (float("-inf"), frozenset[bytes]()))
        return keys if self._clock.monotonic() - at < LOOKED_S else None

    async def _connect(self, key: bytes) -> Link:
        try:
            link = await self._endpoint.connect(key, self, timeout_s=self._settings.connect_timeout_s)
        except PeerUnreachable as error:
            self._failed(key, error)
            raise
        finally:
            del self._connecting[key]
        self._failures.pop(key, None)
        self._connects[OK] += 1
        self._links[key] = link
        while len(self._links) > self._settings.max_links:
            _, oldest = self._links.popitem(last=False)
            oldest.close()
        return link

    def _failed(self, key: bytes, error: PeerUnreachable) -> None:
        """Remember the failure, and that what was looked up has one key too many."""
        before = self._failures.get(key)
        pause_s = min(before.pause_s * 2, LONGEST_PAUSE_S) if before else FIRST_PAUSE_S
        since = before.since if before else self._clock.now()
        failure = Failure(error, since, self._clock.monotonic() + pause_s, pause_s)
        self._failures[key] = failure
        self._connects[failure.reason] += 1
        _trim(self._failures)
        self._drop(key)

    def _drop(self, key: bytes) -> None:
        for _, keys in self._found.values():
            if key in keys:
                keys.remove(key)

    # --- calling --------------------------------------------------------------------------------------------

    async def call(
        self,
        key: bytes,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float,
        sink: Push | None = None,
    ) -> Reply:
        """Call a method of a peer; with `sink` its chunks are passed on as they come, and the reply comes last.

        A slow sink holds the peer back. When this is cancelled, or the sink fails, the peer is told to stop.
        Raises what the peer answers, `PeerUnreachable`, `PeerLost`, `DeadlineExceeded`, `TooLarge`.
        """
        with tracing.calling(method.name):
            try:
                link = await self.link(key)
            except PeerLost:
                self._drop(key)
                raise
            return await self.call_on(link, method, request, meta=meta, timeout_s=timeout_s, sink=sink)

    async def call_on(
        self,
        link: Link,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float,
        sink: Push | None = None,
    ) -> Reply:
        """The same over a link that there is: whatever it raises, nothing else was tried."""
        with tracing.calling(method.name) as span:
            if span is not None:
                span.attributes["hyperinfer.peer"] = link.remote_key.hex()[: tracing.INSTANCE_CHARS]
                meta = msgspec.structs.replace(meta, traceparent=span.traceparent)
            try:
                return await self._call(link, method, request, meta, timeout_s, sink)
            except PeerLost:
                self._drop(link.remote_key)
                raise

    async def _call(
        self,
        link: Link,
        method: Method[Request, Reply],
        request: Request,
        meta: Meta,
        timeout_s: float,
        sink: Push | None,
    ) -> Reply:
        call_id = next(self._ids)
        deadline_ms = max(1, int(timeout_s * 1000))
        sent = _Request(
            data=request,
            meta=msgspec.structs.replace(meta, deadline_ms=deadline_ms),
            id=call_id,
            stream=sink is not None,
            window=streams.DEFAULT_WINDOW if sink is not None else None,
        )
        payload = _encode(sent)
        try:
            if sink is None:
                reply = await link.request(method.name, payload, timeout_s=timeout_s)
            else:
                reply = await self._stream(link, method.name, call_id, payload, timeout_s, sink)
        except BaseException:
            link.event(method.name + streams.CANCEL, _encode(streams.CancelEvent(call_id)))
            raise
        if error := rpc_errors.decode(reply):
            raise error
        return self._decode(method, reply)

    async def _stream(
        self, link: Link, method: str, call_id: int, payload: bytes, timeout_s: float, sink: Push
    ) -> bytes:
        reading = _Reading(streams.Receiving(streams.DEFAULT_WINDOW))
        self._reading[(link, call_id)] = reading
        reply = asyncio.ensure_future(link.request(method, payload, timeout_s=timeout_s))
        reply.add_done_callback(lambda _: reading.wake.set())
        try:
            while True:
                if reading.failure is not None:
                    raise reading.failure
                if chunks := reading.receiving.take():
                    await sink(chunks)
                    if grant := reading.receiving.consumed(len(chunks)):
                        link.event(method + streams.MORE, _encode(streams.MoreEvent(call_id, grant)))
                elif reply.done():
                    return reply.result()
                else:
                    reading.wake.clear()
                    await reading.wake.wait()
        finally:
            del self._reading[(link, call_id)]
            # Whatever it ends with now, nobody waits for it any more.
            reply.add_done_callback(_observe)
            reply.cancel()

    def _decode(self, method: Method[Request, Reply], reply: bytes) -> Reply:
        decoder = self._decoders.get(method.reply)
        if decoder is None:
            decoder = self._decoders[method.reply] = msgspec.json.Decoder(method.reply)
        try:
            decoded: Reply = decoder.decode(reply)
        except UNREADABLE as error:
            raise RemoteError(f"The peer's reply to {method.name} is not of the agreed form: {error}") from error
        return decoded

    # --- what peers send on links that we made: the Inbound side of the net port ------------------------------

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        """Calls come in on links that others make, not on these."""
        return rpc_errors.encode(UnknownMethod(f"There is no method {method[:64]!r} here."))

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        """Chunks of a stream of ours; those that come too late are passed over."""
        if not method.endswith(streams.CHUNK):
            return
        try:
            event = streams.decode_chunk(payload)
        except UNREADABLE:
            return
        reading = self._reading.get((link, event.id))
        if reading is None:
            return
        try:
            reading.receiving.received(event)
        except RemoteError as error:
            reading.failure = error
        reading.wake.set()

    def on_open(self, link: Link) -> None:
        """A link of ours has opened."""

    def on_close(self, link: Link) -> None:
        """A link of ours has ended; calls on it fail by themselves."""
        if self._links.get(link.remote_key) is link:
            del self._links[link.remote_key]


def _trim(remembered: OrderedDict[bytes, Any]) -> None:
    while len(remembered) > MAX_REMEMBERED:
        remembered.popitem(last=False)


def _observe(task: asyncio.Future[Any]) -> None:
    """Look at a result that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()
