"""One socket from its first message to its last: whose it is, what it runs, and how it ends."""

import asyncio
from typing import NamedTuple

import structlog
from msgspec import UNSET
from starlette.types import Receive, Send

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import WHO_AM_I, WhoAmI
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge.errors import OUR_FAULT
from hyperinfer.edge.operations import TIMEOUT_S
from hyperinfer.edge.request import RequestHead
from hyperinfer.edge.ws.conversations import MAX_RUNNING, Conversations
from hyperinfer.edge.ws.messages import fault, limits, read
from hyperinfer.edge.ws.outbox import Outbox
from hyperinfer.edge.ws.places import Place
from hyperinfer.errors import BadRequest, Conflict, Draining, HyperinferError, RateLimited, Unauthenticated
from hyperinfer.facilities.http.sockets import Socket
from hyperinfer.facilities.tasks import unwrapped
from hyperinfer.kernel.calls import Caller

log = structlog.get_logger(__name__)

AUTH_S = 10.0
"""How long a key is waited for."""
MAX_NONSENSE = 10
"""How many messages in a row may make no sense."""

UNSUPPORTED_DATA = 1003
POLICY = 1008
OUR_ERROR = 1011
RESTART = 1012
UNAUTHENTICATED = 4401
TOO_SLOW = 4408
TOO_MANY = 4429


class Closing(NamedTuple):
    """Why a socket is closed: a code of RFC 6455 or of our own, and a sentence."""

    code: int
    reason: str


NO_KEY_CAME = Closing(TOO_SLOW, "no key came in time")
NOT_VALID = Closing(UNAUTHENTICATED, "the key is not valid")
STOPPING = Closing(RESTART, "the server stops; connect again")


async def who_is(gateway: Caller, head: RequestHead, key: str) -> WhoAmI:
    """Whose a key is. Raises `Unauthenticated`, `Forbidden` for one that may not ask models, `Unavailable`."""
    meta = Meta(key=key, request_id=head.request_id, remote=head.remote)
    return await gateway.call(WHO_AM_I, Nothing(), meta=meta, timeout_s=TIMEOUT_S)


class Session:
    """Reads what the client says and runs its conversations, each in a task of its own.

    `message_bytes` is how large a message may be once it is known whose it is; `timeout_s` bounds each conversation.
    """

    def __init__(
        self,
        gateway: Caller,
        head: RequestHead,
        *,
        receive: Receive,
        send: Send,
        socket: Socket,
        place: Place,
        message_bytes: int,
        timeout_s: float,
    ) -> None:
        self._gateway = gateway
        self._head = head
        self._receive = receive
        self._socket = socket
        self._place = place
        self._message_bytes = message_bytes
        self._outbox = Outbox(send, socket, self._cut)
        self._say = self._outbox.say
        self._conversations = Conversations(
            gateway, self._say, remote=head.remote, timeout_s=timeout_s, ended=self._conversation_ended
        )
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Closing | None] = self._loop.create_future()
        self._key: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._nonsense = 0
        self._stopping = False

    async def run(self, who: WhoAmI | None) -> None:
        """Serve the socket to its end; `who` is whose key came with the handshake, if one did."""
        try:
            with unwrapped():
                async with asyncio.TaskGroup() as group:
                    reading = group.create_task(self._read(group, who), name="socket")
                    self._socket.on_stop(self._stop)
                    closing = await self._ended
                    reading.cancel()
                    self._conversations.close()
        except asyncio.CancelledError:  # the server has waited for as long as it may
            await self._outbox.close(*STOPPING)
            raise
        except Exception:  # the edge of a socket: a fault of ours is logged once and hides its internals
            log.exception("socket_failed")
            closing = Closing(OUR_ERROR, OUR_FAULT.message)
        finally:
            self._need_no_key()
        if closing is not None:
            await self._outbox.close(*closing)

    # --- what the client says -----------------------------------------------------------------------------

    async def _read(self, group: asyncio.TaskGroup, who: WhoAmI | None) -> None:
        await self._say(self._ready(who))
        if who is None:
            self._need_key()
        else:
            assert self._head.key is not None
            await self._admit(self._head.key, who)
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._end(None)
                return
            text = event.get("text")
            if text is None:
                self._end(Closing(UNSUPPORTED_DATA, "messages are JSON as text, not binary"))
                return
            await self._take(group, text)

    async def _take(self, group: asyncio.TaskGroup, text: str) -> None:
        try:
            message = read(text)
        except BadRequest as error:
            self._nonsense += 1
            await self._say(ws.Error(fault(error)))
            if self._nonsense >= MAX_NONSENSE:
                self._end(Closing(POLICY, "too many messages in a row make no sense"))
            return
        self._nonsense = 0
        match message:
            case ws.Start():
                await self._start(group, message)
            case ws.Cancel():
                self._conversations.cancel(message.id)
            case ws.Ping():
                await self._say(ws.Pong())
            case ws.Auth():
                await self._authenticate(message.key)

    # --- whose it is --------------------------------------------------------------------------------------

    async def _authenticate(self, key: str) -> None:
        self._need_no_key()  # it has come; how long it takes to be checked is not the client's doing
        try:
            who = await who_is(self._gateway, self._head, key)
            await self._admit(key, who)
        except HyperinferError as error:
            await self._say(ws.Error(fault(error)))
            if self._key is not None:  # the one it had stays
                return
            if isinstance(error, Unauthenticated):
                self._end(NOT_VALID)
            elif isinstance(error, RateLimited):
                self._end(Closing(TOO_MANY, error.message))
            else:
                self._need_key()

    async def _admit(self, key: str, who: WhoAmI) -> None:
        self._place.give_to(who.username)
        self._key = key
        self._socket.take_up_to(self._message_bytes)
        await self._say(ws.Authenticated(who.username, limits(who.rate_limit_info)))

    def _need_key(self) -> None:
        """Wait for a key, but not for long; without one nothing is started."""
        self._key = None
        self._need_no_key()
        self._deadline = self._loop.call_later(AUTH_S, self._end, NO_KEY_CAME)
        self._place.wait(lambda: self._end(NO_KEY_CAME))

    def _need_no_key(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # --- conversations ------------------------------------------------------------------------------------

    async def _start(self, group: asyncio.TaskGroup, start: ws.Start) -> None:
        if self._conversations.is_running(start.id):  # without its id, which would end the conversation that has it
            conflict = Conflict(f"A conversation {start.id!r} is under way; take another id.", param="id")
            await self._say(ws.Error(fault(conflict)))
            return
        try:
            if self._key is None:
                raise Unauthenticated('This needs a key: send {"type": "auth", "key": KEY} first.')
            if self._stopping:
                raise Draining("The server stops; connect again.", retry_after_s=1)
            await self._conversations.start(group, start, self._key)
        except HyperinferError as error:
            await self._say(ws.Error(fault(error), id=start.id))

    def _conversation_ended(self, key: str, error: HyperinferError | None) -> None:
        if isinstance(error, Unauthenticated) and key == self._key:
            self._need_key()
        if self._stopping and not self._conversations.any_running:
            self._end(STOPPING)

    # --- how it ends --------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """The server stops: let end what runs."""
        self._stopping = True
        if not self._conversations.any_running:
            self._end(STOPPING)

    def _cut(self) -> None:
        self._socket.cut()
        self._end(None)

    def _end(self, closing: Closing | None) -> None:
        if not self._ended.done():
            self._ended.set_result(closing)

    def _ready(self, who: WhoAmI | None) -> ws.Ready:
        return ws.Ready(
            version=ws.VERSION,
            max_conversations=MAX_RUNNING,
            max_message_bytes=self._message_bytes,
            auth_within_s=AUTH_S if who is None else UNSET,
        )
