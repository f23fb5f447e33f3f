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

    @classmethod
    @asynccontextmanager
    async def running(cls, context: ssl.SSLContext | None = None) -> "AsyncIterator[WebhookReceiver]":
        """A receiver for the length of the block, over HTTPS if it has a context."""
        receiver = cls()
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", receiver._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0, ssl_context=context)
        await site.start()
        _, port = runner.addresses[0][:2]
        receiver.url = f"{'https' if context else 'http'}://{HOST}:{port}/alerts"
        try:
            yield receiver
        finally:
            receiver.answering.set()
            await runner.cleanup()

    async def post(self, at: int = 0) -> Post:
        """The post that came as number so and so, once it has come."""
        await self.came(at + 1)
        return self.posts[at]

    async def came(self, count: int) -> None:
        """Wait until so many have come."""
        async with asyncio.timeout(TIMEOUT_S), self._came:
            await self._came.wait_for(lambda: len(self.posts) >= count)

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
