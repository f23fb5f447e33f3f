"""The edge served for real over HTTP, in front of a gateway that answers what the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from hyperinfer.edge.app import create_app
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.gateway import FakeGateway

Client = aiohttp.ClientSession
Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a fake gateway and gives an HTTP client of it; settings are those of `HttpSettings`."""
    async with AsyncExitStack() as stack:

        async def start(gateway: FakeGateway, **settings: object) -> Client:
            app = create_app(gateway, HttpSettings(**settings), request_timeout_s=30.0, metrics=True)  # type: ignore[arg-type]  # by name, from the test
            url = await stack.enter_async_context(serving(app, Listen(port=0, drain_s=1.0)))
            return await stack.enter_async_context(aiohttp.ClientSession(url))

        yield start
