"""The one route to models: a request is read, the gateway asked, and the answer written, whole or as it comes."""

from starlette.types import Receive, Scope, Send

from hyperinfer.contracts.gateway import LIST_MODELS, PROCESS_INFERENCE
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge.bodies import Bodies
from hyperinfer.edge.dialects import Named, Reader, Wanted
from hyperinfer.edge.errors import RawHeaders
from hyperinfer.edge.events import EventStream
from hyperinfer.edge.operations import TIMEOUT_S
from hyperinfer.edge.request import head_of, watch
from hyperinfer.edge.responses import head_headers
from hyperinfer.errors import HyperinferError, ModelNotFound
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller
from hyperinfer.protocol.model_names import find


class ModelRoute:
    """A path that reaches models, as a bare ASGI endpoint; it takes no cookie."""

    def __init__(self, gateway: Caller, read: Reader, *, bodies: Bodies, timeout_s: float) -> None:
        self._gateway = gateway
        self._read = read
        self._bodies = bodies
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the client's hanging up cancels it, streamed or not."""
        head = head_of(scope)
        meta = head.authenticated_meta
        wanted = self._read(await self._bodies.read(receive), head)
        if isinstance(wanted, Named):
            await self._named(wanted, meta, send)
        elif wanted.streamed:
            await self._stream(wanted, meta, receive, send)
        else:
            await self._whole(wanted, meta, receive, send)

    async def _whole(self, wanted: Wanted, meta: Meta, receive: Receive, send: Send) -> None:
        try:
            async with background(watch(receive), name="client"):
                reply = await self._gateway.call(
                    PROCESS_INFERENCE, wanted.request, meta=meta, timeout_s=self._timeout_s
                )
        except HyperinferError as error:
            raise wanted.reworded(error) from None
        await _send_json(wanted.form.whole(reply), head_headers(reply.head), send)

    async def _named(self, named: Named, meta: Meta, send: Send) -> None:
        try:
            listed = await self._gateway.call(LIST_MODELS, Nothing(), meta=meta, timeout_s=TIMEOUT_S)
            if find(named.model, [model.id for model in listed.models]) is None:
                raise ModelNotFound("No worker of this swarm has it.", model=named.model)
        except HyperinferError as error:
            raise named.reworded(error) from None
        await _send_json(named.body, [], send)

    async def _stream(self, wanted: Wanted, meta: Meta, receive: Receive, send: Send) -> None:
        events = EventStream(send, wanted.form)
        try:
            async with background(events.watch(receive), name="client"):
                await self._gateway.call(
                    PROCESS_INFERENCE, wanted.request, meta=meta, timeout_s=self._timeout_s, sink=events.push
                )
                await events.end()
        except HyperinferError as error:
            await events.fail(wanted.reworded(error))


async def _send_json(body: bytes, further: RawHeaders, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *further]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
