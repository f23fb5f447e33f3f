"""`/ws` over HTTPS, on the event loop of tests and on the one that the product runs on."""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from websockets.asyncio.client import connect

from hyperinfer.edge.app import create_app
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.facilities.http.tls import Certificate
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.certificates import Authority

from .conftest import KEY, Asked, start


async def conversed(authority: Authority) -> str:
    """What a conversation over TLS says, from a page of the same site."""
    app = create_app(Asked().fake, HttpSettings(), request_timeout_s=30.0, metrics=True)
    certificate = Certificate(*authority.certify("127.0.0.1"))
    async with serving(app, Listen(port=0, drain_s=1.0, web_sockets=True, certificate=certificate)) as url:
        trusting = ssl.create_default_context(cafile=authority.file)
        address = url.replace("https://", "wss://") + "/ws"
        async with connect(address, additional_headers=KEY | {"Origin": url}, ssl=trusting) as connection:
            await connection.send(json.dumps(start("c1", "hello" * 20_000, stream=False)))
            text = ""
            async with asyncio.timeout(10):
                while (heard := json.loads(await connection.recv()))["type"] != "done":
                    text += heard.get("text", "")
            return text or str(heard["message"]["content"])


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_conversation(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(conversed(Authority(tmp_path))) == "hello" * 20_000
