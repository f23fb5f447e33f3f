"""The client library against the real edge: answers whole and streamed, refusals as typed errors, deadlines."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer import AsyncClient, Client
from hyperinfer.contracts import gateway as contract
from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ContextExceeded,
    DeadlineExceeded,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    PeerLost,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.sdk import Answer, Model, Usage
from hyperinfer.testing.answers import saying
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always


async def test_a_whole_answer() -> None:
    gateway = FakeGateway(processInferenceRequest=saying(["four", "."]))
    with served(gateway) as url:
        async with AsyncClient(url + "/v1", api_key="hi_key") as client:
            answer = await client.chat("What is 2 + 2?", system="Be brief.", model="m")
    assert answer == Answer(text="four.", model="m", finish_reason="stop", usage=Usage(3, 2, 5), id="chatcmpl-1")
    [(_, request, meta)] = gateway.calls
    assert meta.key == "hi_key"
    assert json.loads(bytes(request.body))["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_streamed_answer_comes_in_pieces_and_is_known_whole_at_its_end() -> None:
    with served(FakeGateway(processInferenceRequest=saying(["fo", "ur"], reason="length"))) as url:
        async with AsyncClient(url, api_key="hi_key") as client, client.stream("hi") as stream:
            assert stream.answer.finish_reason == ""
            pieces = [piece async for piece in stream]
    assert "".join(pieces) == "four"
    assert stream.answer == Answer(
        text="four", model="m", finish_reason="length", usage=Usage(3, 2, 5), id="chatcmpl-1"
    )


def test_without_asyncio_it_is_the_same() -> None:
    with served(FakeGateway(processInferenceRequest=saying(["fo", "ur"]))) as url, Client(url, api_key="k") as client:
        assert client.chat("hi").text == "four"
        with client.stream("hi") as stream:
            assert "".join(stream) == "four"
        assert stream.answer.usage.total_tokens == 5


async def test_a_stream_that_breaks_off_raises_what_broke_it() -> None:
    broken = saying(["fo"], then=BackendFailed("The model broke off."))
    with served(FakeGateway(processInferenceRequest=broken)) as url:
        async with AsyncClient(url, api_key="k") as client, client.stream("hi") as stream:
            assert await anext(stream) == "fo"
            with pytest.raises(BackendFailed, match="broke off"):
                await anext(stream)
            assert stream.answer.text == "fo"


async def test_leaving_a_stream_early_stops_the_model() -> None:
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def endless(request: Any, meta: Any, sink: Any) -> Any:
        try:
            return await saying(["a"], hold=asyncio.Event())(request, meta, sink)
        except asyncio.CancelledError:
            loop.call_soon_threadsafe(cancelled.set)
            raise

    with served(FakeGateway(processInferenceRequest=endless)) as url:
        async with AsyncClient(url, api_key="k") as client:
            async with client.stream("hi") as stream:
                assert await anext(stream) == "a"
            async with asyncio.timeout(5):
                await cancelled.wait()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        BadRequest("No.", param="temperature"),
        ContextExceeded("Too long."),
        ModelNotFound("No such model."),
        Overloaded("Full.", retry_after_s=3),
        RateLimited("Enough.", retry_after_s=12),
        Unauthenticated("Who?"),
        Unavailable("Nobody is there."),
        BackendFailed("It broke."),
        DeadlineExceeded("Too slow."),
    ],
    ids=lambda error: error.code,
)
async def test_a_refusal_is_raised_as_the_class_it_was(error: HyperinferError, stream: bool) -> None:
    with served(FakeGateway(processInferenceRequest=always(error))) as url:
        async with AsyncClient(url, api_key="k") as client:
            asked = client.stream("hi").__aenter__() if stream else client.chat("hi")
            with pytest.raises(HyperinferError) as caught:
                await asked
    assert type(caught.value) is type(error)
    assert caught.value.message == error.message
    for name in ("param", "retry_after_s"):
        assert caught.value.details.get(name) == error.details.get(name)


async def test_models() -> None:
    model = contract.PublicModel(id="m", created=1, workers=2, slots=8, busy=1, context_tokens=2048)
    with served(FakeGateway(listModels=always(contract.PublicModels(models=(model,))))) as url:
        async with AsyncClient(url, api_key="k") as client:
            assert await client.models.list() == (
                Model(id="m", created=1, workers=2, slots=8, busy=1, context_tokens=2048),
            )


async def test_nobody_there_is_said_with_the_address() -> None:
    with served(FakeGateway()) as url:
        pass
    async with AsyncClient(url, api_key="k") as client:
        with pytest.raises(Unavailable, match=url):
            await client.models.list()


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    hold = asyncio.Event()
    with served(FakeGateway(processInferenceRequest=saying(["a"], hold=hold))) as url:
        async with AsyncClient(url, api_key="k", timeout_s=0.2) as client:
            with pytest.raises(DeadlineExceeded):
                await client.chat("hi")
            async with client.stream("hi") as stream:
                assert await anext(stream) == "a"
                with pytest.raises(DeadlineExceeded):
                    await anext(stream)


class Server:
    """A server that is no gateway of ours and answers what the test says."""

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
async def ask(request: pytest.FixtureRequest) -> AsyncIterator[AsyncClient]:
    async with serving(request.param, Listen(port=0, drain_s=1.0)) as url, AsyncClient(url, api_key="k") as client:
        yield client


@pytest.mark.parametrize("ask", [Server(200, b"<html>")], indirect=True)
async def test_an_answer_that_is_no_json_is_a_failure_of_the_server(ask: AsyncClient) -> None:
    with pytest.raises(BackendFailed, match="something else"):
        await ask.models.list()


@pytest.mark.parametrize("ask", [Server(502, b"<html>")], indirect=True)
async def test_a_refusal_without_a_reason_names_its_status(ask: AsyncClient) -> None:
    with pytest.raises(BackendFailed, match="502"):
        await ask.models.list()


@pytest.mark.parametrize("ask", [Server(307, b"", [(b"location", b"http://127.0.0.1:1/")])], indirect=True)
async def test_a_key_does_not_follow_a_redirect(ask: AsyncClient) -> None:
    with pytest.raises(BadRequest, match="final address"):
        await ask.models.list()


@pytest.mark.parametrize(
    "ask", [Server(200, b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')], indirect=True
)
async def test_a_stream_without_its_end_mark_has_failed(ask: AsyncClient) -> None:
    async with ask.stream("hi") as stream:
        assert await anext(stream) == "a"
        with pytest.raises(PeerLost):
            await anext(stream)


def test_a_client_that_was_not_entered_says_how() -> None:
    with pytest.raises(RuntimeError, match="with Client"):
        Client("http://127.0.0.1:1", api_key="k").models.list()
