"""The HTTP edge before a fake gateway, served from a thread of its own: for clients that block, and child processes."""

from collections.abc import Iterator
from contextlib import contextmanager

from hyperinfer.edge.app import create_app
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.gateway import FakeGateway


@contextmanager
def served(gateway: FakeGateway) -> Iterator[str]:
    """Serve a fake gateway on loopback for the length of the block; gives its URL."""
    app = create_app(gateway, HttpSettings(), request_timeout_s=30.0, metrics=True)
    thread = LoopThread()
    try:
        server = serving(app, Listen(port=0, drain_s=1.0))
        url = thread.run(server.__aenter__())
        try:
            yield url
        finally:
            thread.run(server.__aexit__(None, None, None))
    finally:
        thread.close()
