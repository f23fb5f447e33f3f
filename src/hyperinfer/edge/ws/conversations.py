"""The conversations of one socket: each in a task of its own, from its start to the one message that ends it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

import structlog

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.method import Meta
from hyperinfer.edge.errors import OUR_FAULT
from hyperinfer.edge.ws.answers import Answer
from hyperinfer.edge.ws.messages import fault, wanted
from hyperinfer.errors import HyperinferError, RateLimited
from hyperinfer.kernel.calls import Caller

log = structlog.get_logger(__name__)

MAX_RUNNING = 32
"""How many run at once on one socket."""

Say = Callable[[ws.ServerMessage], Awaitable[None]]


class Conversations:
    """Runs conversations, `timeout_s` being how long each may take; `ended` is called after each with the key
    that it had, and the error if it was one."""

    def __init__(
        self,
        gateway: Caller,
        say: Say,
        *,
        remote: str | None,
        timeout_s: float,
        ended: Callable[[str, HyperinferError | None], None],
    ) -> None:
        self._gateway = gateway
        self._say = say
        self._remote = remote
        self._timeout_s = timeout_s
        self._ended = ended
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        self._closed = False

    @property
    def any_running(self) -> bool:
        """Whether one is under way."""
        return bool(self._running)

    def is_running(self, conversation: str) -> bool:
        """Whether this one is."""
        return conversation in self._running

    async def start(self, group: asyncio.TaskGroup, start: ws.Start, key: str) -> None:
        """Begin one. Raises `RateLimited` if too many run."""
        if len(self._running) >= MAX_RUNNING:
            raise RateLimited(
                f"{MAX_RUNNING} conversations run on this socket, the most at once; wait for one to end.",
                retry_after_s=1,
            )
        self._running[start.id] = group.create_task(self._converse(start, key), name="conversation")
        await asyncio.sleep(0)  # it begins: a task that is cancelled before it has ends without a word

    def cancel(self, conversation: str) -> None:
        """Cancel one, if it is under way and its end is not told yet."""
        task = self._running.get(conversation)
        if task is not None and conversation not in self._ending:
            self._ending.add(conversation)
            task.cancel()

    def close(self) -> None:
        """Cancel all, without a word."""
        self._closed = True
        for task in self._running.values():
            task.cancel()

    async def _converse(self, start: ws.Start, key: str) -> None:
        """One conversation to its end, which is told before another one may have its id."""
        error: HyperinferError | None = None
        try:
            try:
                end: ws.ServerMessage = await self._answer(start, key)
            except asyncio.CancelledError:
                if self._closed or start.id not in self._ending:
                    raise
                end = ws.Cancelled(start.id)
            except HyperinferError as raised:
                error = raised
                end = ws.Error(fault(error), id=start.id)
            except Exception:  # the edge of a conversation, as of a request over HTTP
                log.exception("conversation_failed")
                end = ws.Error(fault(OUR_FAULT), id=start.id)
            self._ending.add(start.id)
            await self._say(end)
        finally:
            self._ending.discard(start.id)
            del self._running[start.id]
            self._ended(key, error)

    async def _answer(self, start: ws.Start, key: str) -> ws.Done:
        """Say what the answer consists of, as it comes; gives its end."""
        answer = Answer(start.id, f"req_{secrets.token_hex(12)}")
        request, streamed = wanted(start)

        async def take(chunks: Sequence[bytes]) -> None:
            for message in answer.of_chunks(chunks):
                await self._say(message)

        inferred = await self._gateway.call(
            PROCESS_INFERENCE,
            request,
            meta=Meta(key=key, request_id=answer.request_id, remote=self._remote),
            timeout_s=self._timeout_s,
            sink=take if streamed else None,
        )
        if streamed:
            return answer.of_end(inferred)
        started, done = answer.of_whole(inferred)
        await self._say(started)
        return done
