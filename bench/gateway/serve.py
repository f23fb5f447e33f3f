"""The processes under test: a bare ASGI echo, everything in one process, or gateway and workers across Hyperswarm."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hyperinfer.facilities.http import Listen, serving
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Part, net_settings, running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.kernel.run import run_process, settle
from hyperinfer.testing.swarm import part
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MODEL = "echo"
TOKENS = 32
"""Tokens of one answer, streamed as so many chunks."""
BATCH = 32
"""Chunks that the echo backend gives on at once; the floor does the same."""

ECHO: dict[str, Any] = {"echo__enabled": True, "echo__tokens": TOKENS, "llamacpp__enabled": False}
"""Settings of an inference worker that only echoes."""

STAMP = b'"id":"chatcmpl-0123456789abcdef01234567","created":1800000000,"model":"echo"'
CHUNK = (
    b'data: {"object":"chat.completion.chunk",'
    + STAMP
    + b',"choices":[{"index":0,"delta":{"content":" word99"},"finish_reason":null}]}\n\n'
)
WHOLE = (
    b'{"object":"chat.completion",'
    + STAMP
    + b',"choices":[{"index":0,"message":{"role":"assistant","content":"'
    + b" word99" * TOKENS
    + b'"},"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":128,"total_tokens":308}}'
)


async def floor(scope: Any, receive: Any, send: Any) -> None:
    """The floor: the same answer by a bare ASGI app on the same server, without account, limit, choice or hop."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if msgspec.json.decode(body).get("stream"):
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(TOKENS // BATCH):
            await send({"type": "http.response.body", "body": CHUNK * BATCH, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(WHOLE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": WHOLE})


def parts(home: Path, bootstrap: str | None, inference: dict[str, Any], **common: Any) -> dict[str, Part]:
    """The workers. Limits are checked, and out of the way; `inference` are settings of the inference worker, `common` of all."""
    every = net_of(bootstrap) | common
    many = 1_000_000
    tier: dict[str, Any] = {"tiers__default__requests_per_minute": many, "tiers__default__requests_per_hour": many}
    return {
        "auth": part(AUTH, home=home, **tier, **every),
        "inference": part(INFERENCE, home=home, **inference, **every),
        "gateway": part(GATEWAY, home=home, http__port=0, **every),
    }


def net_of(bootstrap: str | None) -> dict[str, Any]:
    """Settings of the net: with a DHT node across Hyperswarm, otherwise within the process."""
    if bootstrap is None:
        return {"net__driver": False}
    return {"net__driver": True, "net__bootstrap": (bootstrap,), "net__host": "127.0.0.1", "net__firewalled": False}


@asynccontextmanager
async def served(role: str, home: Path, bootstrap: str | None, inference: dict[str, Any]) -> AsyncIterator[str]:
    """Run a role; gives the URL, where it has one."""
    if role == "floor":
        async with serving(floor, Listen(port=0, drain_s=0.5)) as url:
            yield url
        return
    known = parts(home, bootstrap, inference)
    prepare(tuple(known.values()), home=home, now=datetime.now(UTC))
    mine = [known[name] for name in {"all": known, "gateway": ("gateway",), "workers": ("auth", "inference")}[role]]
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(hyperswarm(net_settings(mine))) if bootstrap else MemoryNet()
        workers = await stack.enter_async_context(running(mine, home=home, net=net))
        yield next((worker.addresses["http"] for worker in workers if "http" in worker.addresses), "")


def main() -> None:
    """Run the role in argv[1] in the home folder argv[2], with the DHT node argv[3] and the settings argv[4] of the
    inference worker, until told to stop."""
    role, home = sys.argv[1], Path(sys.argv[2])
    bootstrap = sys.argv[3] if len(sys.argv) > 3 else None
    inference = msgspec.json.decode(sys.argv[4]) if len(sys.argv) > 4 else ECHO
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

    async def serve(stop: asyncio.Event) -> None:
        async with served(role, home, bootstrap, inference) as url:
            settle()
            print(url, flush=True)
            await stop.wait()

    sys.exit(run_process(serve, say=lambda text: print(text, file=sys.stderr)))


if __name__ == "__main__":
    main()
