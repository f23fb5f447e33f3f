"""One engine process: its folder, its socket, its key, and its end."""

import asyncio
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from hyperinfer.errors import BackendFailed
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.inference.backends.llamacpp.child import EngineOrder

CHILD = "hyperinfer.workers.inference.backends.llamacpp.child"
STOP_TIMEOUT_S = 2.0
SOCKET = "llama.sock"
RANDOM_NAME_CHARS = 8
MAX_SOCKET_PATH_BYTES = 100
"""Systems allow 103 to 107."""
LAST_WORDS_S = 0.5
MAX_LINE_BYTES = 2000
MAX_KEPT_CHARS = 300
LAST_LINES = 3
"""Lines of what the engine said last, kept for the sentence that says why it ended."""
FAILED_CHECK = re.compile(r"\S+:\d+: GGML_ASSERT\(")

log = structlog.get_logger(__name__)


class EngineProcess:
    """An engine that serves on `socket`; whoever talks to it needs `key`."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path, key: str) -> None:
        self._process = process
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._silent = asyncio.Event()
        self._has_requests = False
        self.socket = socket
        self.key = key

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def serving(self, timeout_s: float) -> None:
        """Wait until it has loaded its model. Raises `BackendFailed` if it ends before, or takes too long."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                said = await self._process.stdout.readline()
        except TimeoutError as error:
            raise BackendFailed(f"The engine did not load its model within {timeout_s:g} s.") from error
        if said.strip() != b"ready":
            raise BackendFailed(await self.ended())
        self._has_requests = True

    async def exited(self) -> int:
        """Wait for its end; gives its exit code, or minus the signal that ended it."""
        return await self._process.wait()

    async def ended(self) -> str:
        """Wait for its end and its last words; says in a sentence how it came about, for the operator."""
        code = await self.exited()
        with suppress(TimeoutError):  # what it said last may still be on its way
            async with asyncio.timeout(LAST_WORDS_S):
                await self._silent.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = " | ".join(self._said)
        return f"The engine {how}." + (f" It said: {last}" if last else "")

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Ask it to end, and wait for that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    async def listen(self) -> None:
        """Take note of what it says, until its end. Once it has requests, only of failed checks: the rest may hold
        parts of prompts."""
        assert self._process.stderr is not None
        rest = b""
        while piece := await self._process.stderr.read(MAX_LINE_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            rest = rest[-MAX_LINE_BYTES:]
            for line in lines:
                self._hear(line.decode(errors="replace").strip())
        self._silent.set()

    def _hear(self, line: str) -> None:
        if line and (not self._has_requests or FAILED_CHECK.match(line)):
            self._said.append(line[-MAX_KEPT_CHARS:])
            log.debug("engine_says", text=line)


@contextmanager
def sockets(data: Path) -> Iterator[Path]:
    """A folder for the engines' sockets that nobody else may enter, for the length of the block: `engine` in the data
    folder, where what a killed worker left is found and removed, or a temporary one where the path would be too long
    for a socket. `data` is a folder that no other worker uses."""
    folder = data / "engine"
    if len(os.fsencode(folder / ("x" * RANDOM_NAME_CHARS) / SOCKET)) > MAX_SOCKET_PATH_BYTES:
        folder = Path(tempfile.mkdtemp(prefix="hyperinfer-"))
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def engine_process(order: EngineOrder, folder: Path) -> AsyncIterator[EngineProcess]:
    """An engine for the length of the block, with a socket in a folder of its own in this one. It does not serve at once:
    wait for `serving`."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="", ignore_cleanup_errors=True) as own:
        order = msgspec.structs.replace(
            order, socket=str(Path(own) / SOCKET), key=secrets.token_urlsafe(32), parent=os.getpid()
        )
        process = await _start(order)
        engine = EngineProcess(process, Path(order.socket), order.key)
        async with background(engine.listen(), name="engine log"):
            try:
                yield engine
            finally:
                await engine.stop()


async def _start(order: EngineOrder) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the worker, which stops the engine when it is done with it
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    return process
