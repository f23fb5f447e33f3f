"""The embedded engine alone, as a worker runs it: prints where it listens and its key, and serves until told to stop."""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from hyperinfer.kernel.run import run_process
from hyperinfer.workers.inference.backends.llamacpp import machine
from hyperinfer.workers.inference.backends.llamacpp.child import EngineOrder
from hyperinfer.workers.inference.backends.llamacpp.process import engine_process
from hyperinfer.workers.inference.backends.llamacpp.weights import SMOLLM2, find

LOAD_TIMEOUT_S = 60.0


class Address(msgspec.Struct, frozen=True):
    """Where the engine is reached."""

    socket: str
    key: str


async def serve(stop: asyncio.Event) -> None:
    """Serve with as many slots as argv[1], each of argv[2] tokens."""
    with tempfile.TemporaryDirectory() as folder:
        order = EngineOrder(
            model_path=str(await find(SMOLLM2, Path(folder))),
            slots=int(sys.argv[1]),
            context_tokens=int(sys.argv[2]),
            threads=machine.threads(None),
        )
        async with engine_process(order, Path(folder)) as engine:
            await engine.serving(LOAD_TIMEOUT_S)
            print(msgspec.json.encode(Address(str(engine.socket), engine.key)).decode(), flush=True)
            await stop.wait()


if __name__ == "__main__":
    sys.exit(run_process(serve, say=lambda text: print(text, file=sys.stderr)))
