"""One driver process: its socket, its commands, and its end."""

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import structlog

from hyperinfer.errors import DeadlineExceeded, DriverLost, HyperinferError, RemoteError, StartError
from hyperinfer.facilities.net.driver.install import SOURCE
from hyperinfer.facilities.net.driver.unreachable import unreachable
from hyperinfer.protocol.frames import OnFrame, Op, Reader, head

log = structlog.get_logger(__name__)

COMMAND_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
MAX_LOG_LINE_BYTES = 2000
HIGH_WATER_BYTES = 4 * 1024 * 1024
MAX_ID = 0xFFFFFFFE
"""Ids are 32 bits on the wire to the driver, which keeps the highest one for its heartbeat."""


class DriverProcess(asyncio.Protocol):
    """A running driver. What it sends that is no answer to a command goes to `on_frame`."""

    def __init__(self, on_frame: OnFrame, on_end: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._reader = Reader(self._take)
        self._transport: asyncio.WriteTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._unsent: list[bytes] = []
        self._commands: dict[int, asyncio.Future[bytes]] = {}
        self._ids = itertools.count(1)
        self._ended = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._log_task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The driver's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the driver has gone."""
        return self._ended.is_set()

    async def start(self, node: Path, modules: Path) -> None:
        """Start the process. Raises `StartError`."""
        if sys.platform == "win32":
            raise StartError("The swarm driver does not run on Windows yet; set net.driver to false.")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        loop = asyncio.get_running_loop()
        try:
            self._process = await asyncio.create_subprocess_exec(
                node,
                SOURCE / "main.js",
                stdin=theirs.fileno(),  # both ways; it ends when we do, however we end
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "NODE_PATH": str(modules / "node_modules")},
                start_new_session=True,  # Ctrl-C is for Python, which stops the driver when it is done with it
            )
        except OSError as error:
            ours.close()
            raise StartError(f"The swarm driver cannot be started: {error.strerror}.") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        await loop.create_unix_connection(lambda: self, sock=ours)
        self._log_task = asyncio.create_task(self._log(), name="driver log")

    async def command(
        self, op: Op, handle: int = 0, payload: bytes = b"", *, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> bytes:
        """Ask the driver for something. Raises `DriverLost`, `DeadlineExceeded`, or what the driver says."""
        if self.ended:
            raise DriverLost("The swarm driver has ended; it is being restarted.")
        call_id = next(self._ids)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._commands[call_id] = answer
        self.send(op, call_id, handle, "", payload)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise DeadlineExceeded(f"The swarm driver did not {op.name.lower()} within {timeout_s:g} s.") from error
        finally:
            self._commands.pop(call_id, None)

    async def command_json(self, op: Op, handle: int, content: object) -> bytes:
        """The same with JSON."""
        return await self.command(op, handle, msgspec.json.encode(content))

    def send(self, op: int, call_id: int, handle: int, name: str = "", payload: bytes = b"") -> None:
        """Send a frame with all others of this turn of the event loop."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += (head(op, call_id, handle, name, len(payload)), payload)

    @property
    def congested(self) -> bool:
        """Whether the driver is behind with reading."""
        return not self._writable.is_set()

    async def writable(self) -> None:
        """Wait until the driver has read enough to be sent more, or has ended."""
        await self._writable.wait()

    async def stop(self) -> None:
        """End the process and wait for its end."""
        if self._transport is not None:
            self._flush()
            self._transport.close()
        if self._process is not None:
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._log_task is not None:
            await self._log_task

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))

    # --- asyncio.Protocol -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Frames from the driver."""
        self._reader.push(data)

    def pause_writing(self) -> None:
        """The driver is behind with reading."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The driver has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The driver has gone: nothing that was asked of it will be answered."""
        self._ended.set()
        self._writable.set()
        for answer in self._commands.values():
            if not answer.done():
                answer.set_exception(DriverLost("The swarm driver has ended; it is being restarted."))
        self._on_end()

    # --- what it sends --------------------------------------------------------------------------------------

    def _take(self, op: int, call_id: int, handle: int, name: str, payload: bytes) -> None:
        if handle or op not in (Op.RESULT, Op.ERROR):
            self._on_frame(op, call_id, handle, name, payload)
            return
        answer = self._commands.get(call_id)
        if answer is None or answer.done():
            return
        if op == Op.RESULT:
            answer.set_result(payload)
        else:
            answer.set_exception(_failure(name, payload.decode(errors="replace")))

    async def _log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.read(MAX_LOG_LINE_BYTES):
            log.warning("driver_says", stack=line.decode(errors="replace").strip())


def _failure(code: str, message: str) -> HyperinferError:
    if code == "UNREACHABLE":
        return unreachable(*message.split())
    return RemoteError(f"The swarm driver failed: {message}", remote_code=code)
