"""The bridge under test: a client worker in a process of its own, with a home of its own."""

import asyncio
import logging
import sys
from pathlib import Path

import structlog

from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.kernel.compose import net_settings, running
from hyperinfer.kernel.run import run_process, settle
from hyperinfer.testing.swarm import part
from hyperinfer.workers.client.worker import WORKER


def main() -> None:
    """Serve the gateway of the link in argv[3], with the home folder argv[1] and the DHT node argv[2]."""
    home, bootstrap, link = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    mine = part(
        WORKER,
        home=home,
        gateway=link,
        http__port=0,
        net__bootstrap=(bootstrap,),
        net__host="127.0.0.1",
        net__firewalled=False,
    )

    async def serve(stop: asyncio.Event) -> None:
        async with (
            hyperswarm(net_settings([mine])) as net,
            running([mine], home=home, net=net) as [bridge],
        ):
            settle()
            print(bridge.addresses["http"], flush=True)
            await stop.wait()

    sys.exit(run_process(serve, say=lambda text: print(text, file=sys.stderr)))


if __name__ == "__main__":
    main()
