"""The processes under test: the gateway, the workers behind it, the metrics worker that collects from them, and who takes traces."""

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

from bench.gateway.serve import ECHO, net_of, parts
from hyperinfer.edge import seen
from hyperinfer.facilities import log
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.kernel.compose import net_settings, running
from hyperinfer.kernel.observation import Observation
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.kernel.run import run_process, settle
from hyperinfer.testing.swarm import part
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.metrics.worker import WORKER as METRICS

EVERY_TRACE = 100_000
"""Traces a second where each is to be recorded."""


class Setup(msgspec.Struct, frozen=True, omit_defaults=True):
    """One swarm: where it is, and what of it is seen. Without `traces_per_s` as many are recorded as a worker does by itself;
    `collect_s` and `remember_s` are how often the metrics worker asks, and how far back it looks."""

    home: str
    bootstrap: str
    metrics: bool = False
    log: bool = False
    traces_to: str = ""
    traces_per_s: int | None = None
    collect_s: float = 5.0
    remember_s: float = 900.0

    @property
    def settings(self) -> dict[str, Any]:
        """Those of every worker."""
        found: dict[str, Any] = {"observe__enabled": self.metrics, "log__requests": self.log}
        if self.traces_to:
            found["tracing__endpoint"] = self.traces_to
        if self.traces_per_s is not None:
            found["tracing__per_s"] = self.traces_per_s
        return found


COUNTING = ((Observation, ("count", "time")), (seen.Requests, ("count",)), (Meters, ("admitted", "answered", "used")))
"""Where requests are counted, which no setting turns off."""


def count_nothing() -> None:
    """Have this process count no request."""
    for owner, names in COUNTING:
        for name in names:
            setattr(owner, name, _nothing)


def quiet() -> None:
    """Log nothing but errors."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _nothing(*_: Any) -> None:
    pass


@asynccontextmanager
async def swarm(role: str, setup: Setup) -> AsyncIterator[str]:
    """Run the workers of a role; gives the gateway's URL, where it is there."""
    home = Path(setup.home)
    known = parts(home, setup.bootstrap, ECHO, **setup.settings)
    collect: dict[str, Any] = {"collect__interval_s": setup.collect_s, "collect__remember_s": setup.remember_s}
    known["metrics"] = part(METRICS, home=home, **setup.settings, **collect, **net_of(setup.bootstrap))
    prepare(tuple(known.values()), home=home, now=datetime.now(UTC))
    mine = [known[name] for name in {"workers": ("auth", "inference")}.get(role, (role,))]
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(hyperswarm(net_settings(mine)))
        workers = await stack.enter_async_context(running(mine, home=home, net=net))
        yield next((worker.addresses["http"] for worker in workers if "http" in worker.addresses), "")


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Take traces for the length of the block; whoever asks is told how many spans there were."""
    spans = 0

    async def take(scope: Any, receive: Any, send: Any) -> None:
        nonlocal spans
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        spans += body.count(b'"spanId":')
        said = b"{}" if scope["method"] == "POST" else b"%d" % spans
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    async with serving(take, Listen(port=0, drain_s=0.5)) as url:
        yield url


def main() -> None:
    """Run the role in argv[1] as the setup in argv[2] says, until told to stop."""
    role = sys.argv[1]
    serves = receiver()
    if role != "receiver":
        setup = msgspec.json.decode(sys.argv[2], type=Setup)
        serves = swarm(role, setup)
        if not setup.metrics:
            count_nothing()
        if setup.log:
            # what a service's supervisor would take, to the end of the process
            stream = Path(setup.home, f"{role}.stderr").open("w")  # noqa: SIM115
            log.configure(level="info", folder=Path(setup.home) / "logs" / role, stream=stream)
        else:
            quiet()

    async def serve(stop: asyncio.Event) -> None:
        async with serves as url:
            settle()
            print(url, flush=True)
            await stop.wait()

    sys.exit(run_process(serve, say=lambda text: print(text, file=sys.stderr)))


if __name__ == "__main__":
    main()
