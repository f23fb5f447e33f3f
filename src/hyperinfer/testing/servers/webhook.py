"""A receiver of webhooks on loopback, in the test's own event loop, that keeps what it is posted, and can be as bad as they come."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

HOST = "127.0.0.1"
TIMEOUT_S = 15.0

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Post:
    """What was posted: the headers, and the body as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts in it."""
        return list(self.told["alerts"])


class WebhookReceiver:
    """What came in is in `posts`. `answers` are statuses to give, in turn, or what answers instead; then it is 200."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[Post] = []
        self.answers: list[int | Answer] = []
        self.answering = asyncio.Event()
        """Cleared, it takes what is posted and does not answer until it is set again."""
        self.answering.set()
        self._came = asyncio.Condition()
        self._port = 0
        self._runner: web.AppRunner | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, context: ssl.SSLContext | None = None) -> "AsyncIterator[WebhookReceiver]":
        """A receiver for the length of the block, over HTTPS if it has a context."""
        receiver = cls()
        await receiver._start(context)
        receiver.url = f"{'https' if context else 'http'}://{HOST}:{receiver._port}/alerts"
        try:
            yield receiver
        finally:
            receiver.answering.set()
            await receiver._stop()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Let nobody reach it, for the length of the block: it comes back on the same port. Not over HTTPS."""
        await self._stop()
        try:
            yield
        finally:
            await self._start(None)

    async def _start(self, context: ssl.SSLContext | None) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, ssl_context=context, reuse_address=True).start()
        _, self._port = self._runner.addresses[0][:2]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def post(self, at: int = 0) -> Post:
        """The post that came as number so and so, once it has come."""
        await self.came(at + 1)
        return self.posts[at]

    async def came(self, count: int) -> None:
        """Wait until so many have come."""
        await self.until(lambda: len(self.posts) >= count)

    async def until(self, holds: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until what has come makes this hold."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(holds)

    async def alert(self, rule: str, status: str) -> dict[str, Any]:
        """The first alert of a rule (its `alertname`) that was told with this status, once it has come."""

        def found() -> dict[str, Any] | None:
            alerts = (alert for post in self.posts for alert in post.alerts)
            return next((one for one in alerts if (one["labels"]["alertname"], one["status"]) == (rule, status)), None)

        async with asyncio.timeout(TIMEOUT_S), self._came:
            alert = await self._came.wait_for(found)
        assert alert is not None
        return alert

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.posts.append(Post({name.lower(): value for name, value in request.headers.items()}, body))
        async with self._came:
            self._came.notify_all()
        await self.answering.wait()
        answer = self.answers.pop(0) if self.answers else 200
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)
