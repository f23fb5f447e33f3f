"""The OpenAI API's routes that reach a model: chat completions, completions and embeddings."""

from collections.abc import Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from hyperinfer.contracts.gateway import PROCESS_INFERENCE, Infer
from hyperinfer.contracts.inference import Kind
from hyperinfer.contracts.method import Meta
from hyperinfer.edge.events import EventStream
from hyperinfer.edge.request import head_of, read_body, watch
from hyperinfer.edge.responses import head_headers
from hyperinfer.errors import HyperinferError, Unsupported
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.protocol.typed_json import decode

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
KINDS: Mapping[str, Kind] = {CHAT: "chat", COMPLETIONS: "completion", EMBEDDINGS: "embedding"}
"""What is asked for on each path."""


class StreamWanted(msgspec.Struct, frozen=True):
    """All that the edge itself has to know of a request."""

    stream: bool | None = None


_wanted = msgspec.json.Decoder(StreamWanted)


class ModelRoute:
    """One of these routes as a bare ASGI endpoint: bytes in, bytes out, nothing encoded twice."""

    def __init__(self, gateway: Caller, kind: Kind, *, limit_bytes: int, timeout_s: float) -> None:
        self._gateway = gateway
        self._kind = kind
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the client's hanging up cancels it, streamed or not."""
        head = head_of(scope)
        meta, cache = head.authenticated_meta, head.wants_cache
        body = await read_body(receive, limit_bytes=self._limit_bytes)
        streamed = decode(_wanted, body).stream
        if streamed and self._kind == "embedding":
            raise Unsupported("Embeddings are not streamed.", param="stream")
        request = Infer(body=msgspec.Raw(body), kind=self._kind, cache=cache)
        if streamed:
            await self._stream(request, meta, receive, send)
        else:
            await self._whole(request, meta, receive, send)

    async def _whole(self, request: Infer, meta: Meta, receive: Receive, send: Send) -> None:
        async with background(watch(receive), name="client"):
            reply = await self._gateway.call(PROCESS_INFERENCE, request, meta=meta, timeout_s=self._timeout_s)
        body = bytes(reply.processed.completion)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *head_headers(reply.head),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, request: Infer, meta: Meta, receive: Receive, send: Send) -> None:
        events = EventStream(send)
        try:
            async with background(events.watch(receive), name="client"):
                await self._gateway.call(
                    PROCESS_INFERENCE, request, meta=meta, timeout_s=self._timeout_s, sink=events.push
                )
                await events.end()
        except HyperinferError as error:
            await events.fail(error)
