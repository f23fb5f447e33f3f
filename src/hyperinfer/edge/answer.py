"""The answer to one request on its way out: stamped with what every answer says, packed where that is worth it, and begun once."""

from time import perf_counter

from starlette.types import Message, Send

from hyperinfer.edge.compression import may_have_packed, may_pack, packed
from hyperinfer.edge.dialects import WriteError
from hyperinfer.edge.errors import RawHeaders, headers_of, status_of
from hyperinfer.edge.request import RequestHead
from hyperinfer.edge.seen import Seen
from hyperinfer.errors import HyperinferError

VARY = (b"vary", b"accept-encoding")


class Answer:
    """The answer to one request, and whether it has begun. `headers` are on it unless a route says otherwise.

    `lets_body_come` says that what is left of the request's body has an end that is near; `id_header` is a further header
    for the request's id.
    """

    __slots__ = (
        "_began_s",
        "_headers",
        "_held",
        "_seen",
        "_send",
        "_started",
        "_to_other_site",
        "head",
        "id_header",
        "lets_body_come",
    )

    def __init__(self, send: Send, headers: RawHeaders, seen: Seen) -> None:
        self._began_s = perf_counter()
        self._headers = headers
        self._held: Message | None = None
        self._seen = seen
        self._send = send
        self._started = False
        self.head: RequestHead | None = None
        self._to_other_site = False
        self.id_header = b""
        self.lets_body_come = False

    def of_other_site(self, headers: RawHeaders) -> None:
        """It goes to a page of another site: with these headers, and without a cookie."""
        self._headers = self._headers + headers
        self._to_other_site = True

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if self._started:
            if self._held is not None:
                await self._send_held(self._held, message)
                return
        elif message["type"] == "http.response.start":
            self._started = True
            self._seen.answered(message)
            if self._stamp(message):
                self._held = message
                return
        elif message["type"] == "websocket.accept":
            self._started = True
            self._seen.answered(message)
        await self._send(message)

    async def empty(self, headers: RawHeaders) -> None:
        """Answer with headers alone."""
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: HyperinferError, write: WriteError) -> None:
        """Answer with an error; if an answer has begun it is broken off, which the server does by itself."""
        if self._started and self._held is None:
            return
        self._started, self._held = False, None
        body = write(error)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers_of(error)]
        status = status_of(error)
        if status == 408 or (status == 413 and not self.lets_body_come):  # the rest of the body is not worth reading
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _stamp(self, start: Message) -> bool:
        """Complete the headers; whether the body is to be packed."""
        given: RawHeaders = list(start.get("headers", ()))
        known = dict(given)
        given += [header for header in self._headers if header[0] not in known]
        if self._to_other_site:
            given = [header for header in given if header[0] != b"set-cookie"]
        given.append((b"openai-processing-ms", b"%d" % ((perf_counter() - self._began_s) * 1000)))
        start["headers"] = given
        head = self.head
        if head is None:
            return False
        given.append((b"x-request-id", head.request_id.encode()))
        if self.id_header:
            given.append((self.id_header, head.request_id.encode()))
        if not may_pack(known):
            return False
        given.append(VARY)
        return b"set-cookie" not in known and may_have_packed(head.headers)

    async def _send_held(self, start: Message, message: Message) -> None:
        """Send the answer that was held back until its body is there, packed if it is whole and becomes shorter."""
        self._held = None
        body: bytes = message.get("body", b"")
        shorter = await packed(body) if body and not message.get("more_body") else body
        if len(shorter) < len(body):
            headers = [header for header in start["headers"] if header[0] != b"content-length"]
            start["headers"] = [
                *headers,
                (b"content-encoding", b"gzip"),
                (b"content-length", b"%d" % len(shorter)),
            ]
            message = {**message, "body": shorter}
        await self._send(start)
        await self._send(message)
