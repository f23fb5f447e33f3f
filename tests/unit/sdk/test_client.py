"""The client library before the real edge, over HTTP and over the swarm: answers whole and streamed, refusals, deadlines."""

import asyncio
import base64
import json
import struct
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.gateway import Infer, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    Conflict,
    ContextExceeded,
    DeadlineExceeded,
    Forbidden,
    HyperinferError,
    ModelNotFound,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from hyperinfer.sdk import Answer, Inference, Model, ToolCall
from hyperinfer.sdk import Usage as Counted
from hyperinfer.testing.answers import HEAD, chunk, saying
from hyperinfer.testing.gateway import Answer as Answering
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.testing.reach import Reach

FOUR = Answer(text="four.", model="m", usage=Counted(3, 2, 5), id="chatcmpl-1", worker="abababababab")


def known(answer: Answer) -> Answer:
    """The answer without the request's id, which differs each time."""
    assert answer.request_id.startswith("req_")
    return msgspec.structs.replace(answer, request_id="")


def body_of(gateway: FakeGateway) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(gateway.calls[0][1].body))
    return body


def ended(completion: bytes) -> Processed:
    return Processed(usage=Usage(), finish_reason="stop", model="m", completion=msgspec.Raw(completion))


def replying(**completion: Any) -> Answering:
    """Answers with these fields of OpenAI's, whole."""

    async def answer(request: Infer, meta: Any, sink: Any) -> Inferred:
        return Inferred(processed=ended(msgspec.json.encode(completion)), head=HEAD)

    return answer


def streaming(*deltas: dict[str, Any], reason: str) -> Answering:
    """Answers with these deltas."""

    async def answer(request: Infer, meta: Any, sink: Any) -> Inferred:
        await sink([msgspec.json.encode(HEAD)])
        for delta in deltas:
            await sink([chunk(choices=[{"index": 0, "delta": delta}])])
        await sink([chunk(finish_reason=reason)])
        return Inferred(processed=ended(b"null"), head=HEAD)

    return answer


# --- answers -------------------------------------------------------------------------------------------------


async def test_a_whole_answer(everywhere: Reach) -> None:
    gateway = FakeGateway(processInferenceRequest=saying(["four", "."]))
    with everywhere(gateway) as way:
        async with way.client(api_key="hi_key") as client:
            answer = await client.chat("What is 2 + 2?", system="Be brief.", model="m", cache=False)
    assert known(answer) == FOUR
    [(_, request, meta)] = gateway.calls
    assert meta.key == "hi_key"
    assert request.cache is False
    assert body_of(gateway)["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_streamed_answer_comes_in_pieces_and_is_known_whole_at_its_end(everywhere: Reach) -> None:
    with everywhere(FakeGateway(processInferenceRequest=saying(["fo", "ur."], reason="length"))) as way:
        async with way.client() as client, client.stream("hi") as stream:
            assert stream.answer.finish_reason == ""
            pieces = [piece async for piece in stream]
    assert "".join(pieces) == "four."
    assert known(stream.answer) == msgspec.structs.replace(FOUR, finish_reason="length")


def test_without_asyncio_it_is_the_same(everywhere: Reach) -> None:
    with everywhere(FakeGateway(processInferenceRequest=saying(["fo", "ur."]))) as way, way.blocking() as client:
        assert known(client.chat("hi")) == FOUR
        with client.stream("hi") as stream:
            assert next(stream) == "fo"
            assert "".join(stream) == "ur."
        assert known(stream.answer) == FOUR


TOOLS = [{"id": "c1", "name": "add", "arguments": '{"a": 1}'}, {"id": "c2", "name": "now", "arguments": ""}]


async def test_tools_are_offered_and_their_calls_are_typed(everywhere: Reach) -> None:
    calls = [
        {"id": one["id"], "type": "function", "function": {"name": one["name"], "arguments": one["arguments"]}}
        for one in TOOLS
    ]
    choice = {"index": 0, "message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}
    gateway = FakeGateway(processInferenceRequest=replying(id="chatcmpl-1", model="m", choices=[choice]))
    with everywhere(gateway) as way:
        async with way.client() as client:
            answer = await client.chat(
                "What is 1 + 1?", tools=[{"type": "function", "function": {"name": "add"}}], tool_choice="required"
            )
    assert body_of(gateway)["tools"] == [{"type": "function", "function": {"name": "add"}}]
    assert body_of(gateway)["tool_choice"] == "required"
    assert answer.text == ""
    assert answer.tool_calls == (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "now", ""))
    assert [call.parsed() for call in answer.tool_calls] == [{"a": 1}, {}]
    assert answer.message == {"role": "assistant", "content": None, "tool_calls": calls}


async def test_tool_calls_and_thinking_come_in_pieces_too(everywhere: Reach) -> None:
    deltas = (
        {"role": "assistant", "reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "now", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    )
    with everywhere(FakeGateway(processInferenceRequest=streaming(*deltas, reason="tool_calls"))) as way:
        async with way.client() as client, client.stream("hi") as stream:
            assert [piece async for piece in stream] == []
    assert stream.answer.thinking == "Let me see."
    assert stream.answer.tool_calls == (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "now", "{}"))


async def test_a_text_is_gone_on_with(everywhere: Reach) -> None:
    choices = [{"index": 0, "text": " time", "finish_reason": "length"}]
    gateway = FakeGateway(processInferenceRequest=replying(id="cmpl-1", model="m", choices=choices))
    with everywhere(gateway) as way:
        async with way.client() as client:
            answer = await client.complete("Once upon a", max_tokens=1, stop=["."])
    assert (answer.text, answer.finish_reason) == (" time", "length")
    assert gateway.calls[0][1].kind == "completion"
    assert body_of(gateway) == {"prompt": "Once upon a", "max_tokens": 1, "stop": ["."]}


@pytest.mark.parametrize("packed", [True, False], ids=["base64", "numbers"])
async def test_a_vector_for_each_text_in_their_order(everywhere: Reach, packed: bool) -> None:
    def vector(*numbers: float) -> Any:
        return base64.b64encode(struct.pack("<2f", *numbers)).decode() if packed else numbers

    data = [{"index": 1, "embedding": vector(0.5, 2)}, {"index": 0, "embedding": vector(1, -1)}]
    gateway = FakeGateway(
        processInferenceRequest=replying(data=data, model="e", usage={"prompt_tokens": 4, "total_tokens": 4})
    )
    with everywhere(gateway) as way:
        async with way.client() as client:
            found = await client.embed(["a", "b"], dimensions=2)
    assert found.vectors == ((1.0, -1.0), (0.5, 2.0))
    assert (found.model, found.usage.total_tokens, found.worker) == ("e", 4, "abababababab")
    assert body_of(gateway) == {"input": ["a", "b"], "encoding_format": "base64", "dimensions": 2}


@pytest.mark.parametrize("vector", ["AAA=", "AAAAAAA*", "AAAAAAA"])
async def test_a_vector_that_is_none_is_a_failure(reach: Reach, vector: str) -> None:
    with reach(FakeGateway(processInferenceRequest=replying(data=[{"index": 0, "embedding": vector}]))) as way:
        async with way.client() as client:
            with pytest.raises(BackendFailed, match="base64"):
                await client.embed("a")


async def test_the_simple_call(everywhere: Reach) -> None:
    reply = contract.ProcessPromptReply(response="four", model="m", usage=Usage(3, 1), request_id="r-1")
    gateway = FakeGateway(processPrompt=always(reply))
    with everywhere(gateway) as way:
        async with way.client() as client:
            answer = await client.inference("2 + 2?", max_tokens=3)
    assert answer == Inference("four", "m", Counted(3, 1, 4), "r-1")
    assert gateway.calls[0][1] == contract.ProcessPrompt(prompt="2 + 2?", max_tokens=3)


async def test_models(everywhere: Reach) -> None:
    model = contract.PublicModel(id="m", created=1, workers=2, slots=8, busy=1, context_tokens=2048)
    with everywhere(FakeGateway(listModels=always(contract.PublicModels(models=(model,))))) as way:
        async with way.client() as client:
            assert await client.models.list() == (
                Model(id="m", created=1, workers=2, slots=8, busy=1, context_tokens=2048),
            )


# --- what goes wrong -----------------------------------------------------------------------------------------


async def test_a_stream_that_breaks_off_raises_what_broke_it(everywhere: Reach) -> None:
    broken = saying(["fo"], then=BackendFailed("The model broke off."))
    with everywhere(FakeGateway(processInferenceRequest=broken)) as way:
        async with way.client() as client, client.stream("hi") as stream:
            assert await anext(stream) == "fo"
            with pytest.raises(BackendFailed, match="broke off"):
                await anext(stream)
            assert stream.answer.text == "fo"


class Endless:
    """Says one word and then nothing, until it is told to stop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Any, meta: Any, sink: Any) -> Any:
        self._loop.call_soon_threadsafe(self.begun.set)
        try:
            return await saying(["a"], hold=asyncio.Event())(request, meta, sink)
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(self.cancelled.set)
            raise


async def test_leaving_a_stream_early_stops_the_model(everywhere: Reach) -> None:
    endless = Endless()
    with everywhere(FakeGateway(processInferenceRequest=endless)) as way:
        async with way.client() as client:
            async with client.stream("hi") as stream:
                assert await anext(stream) == "a"
            async with asyncio.timeout(5):
                await endless.cancelled.wait()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelling_stops_the_model(everywhere: Reach, streamed: bool) -> None:
    endless = Endless()

    async def ask() -> None:
        if not streamed:
            await client.chat("hi")
        async with client.stream("hi") as stream:
            async for _ in stream:
                pass

    with everywhere(FakeGateway(processInferenceRequest=endless)) as way:
        async with way.client() as client, asyncio.timeout(5):
            asking = asyncio.create_task(ask())
            await endless.begun.wait()
            asking.cancel()
            await endless.cancelled.wait()
            with pytest.raises(asyncio.CancelledError):
                await asking


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        BadRequest("No.", param="temperature"),
        Unsupported("No tools.", param="tools"),
        ContextExceeded("Too long."),
        Forbidden("Not you."),
        NotFound("Nothing."),
        ModelNotFound("No such model."),
        Conflict("It is there."),
        TooLarge("Too much."),
        Overloaded("Full.", retry_after_s=7),
        RateLimited("Enough.", retry_after_s=12),
        Unauthenticated("Who?"),
        Unavailable("Nobody is there.", retry_after_s=9),
        BackendFailed("It broke."),
        DeadlineExceeded("Too slow."),
    ],
    ids=lambda error: error.code,
)
async def test_a_refusal_is_raised_as_the_class_it_was(reach: Reach, error: HyperinferError, stream: bool) -> None:
    with reach(FakeGateway(processInferenceRequest=always(error))) as way:
        async with way.client() as client:
            asked = client.stream("hi").__aenter__() if stream else client.chat("hi")
            with pytest.raises(HyperinferError) as caught:
                await asked
    assert type(caught.value) is type(error)
    assert caught.value.message == error.message
    assert caught.value.details["request_id"].startswith("req_")
    for name in ("param", "retry_after_s"):
        assert caught.value.details.get(name) == error.details.get(name)


async def test_a_model_is_asked_again_where_it_was_refused(everywhere: Reach) -> None:
    answers = iter([Overloaded("Full."), Unavailable("Away."), None])

    async def answer(request: Any, meta: Any, sink: Any) -> Any:
        refusal = next(answers)
        if refusal is not None:
            raise refusal
        return await saying(["four."])(request, meta, sink)

    gateway = FakeGateway(processInferenceRequest=answer)
    with everywhere(gateway) as way:
        async with way.client() as client, client.stream("hi") as stream:
            assert [piece async for piece in stream] == ["four."]
    assert len(gateway.calls) == 3


async def test_a_server_that_does_not_answer_is_given_up(everywhere: Reach) -> None:
    hold = asyncio.Event()
    with everywhere(FakeGateway(processInferenceRequest=saying(["a"], hold=hold))) as way:
        async with way.client(timeout_s=0.3) as client:
            with pytest.raises(DeadlineExceeded):
                await client.chat("hi")
            async with client.stream("hi") as stream:
                assert await anext(stream) == "a"
                with pytest.raises(DeadlineExceeded):
                    await anext(stream)


async def test_many_at_once(everywhere: Reach) -> None:
    with everywhere(FakeGateway(processInferenceRequest=saying(["four."]))) as way:
        async with way.client() as client:
            answers = await asyncio.gather(*(client.chat("hi") for _ in range(50)))
    assert {answer.text for answer in answers} == {"four."}
    assert len({answer.request_id for answer in answers}) == 50
