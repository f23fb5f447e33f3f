"""The official `openai` client against our gateway: what it sends is understood, what we answer it understands."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from hyperinfer.contracts.inference import Processed, ProcessRequest, Usage
from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import BackendFailed, ContextExceeded
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference, echo
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway.worker import WORKER

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


class Scene:
    """A gateway whose inference worker does what the test says, and a client of it."""

    def __init__(self, url: str, key: str, limited_key: str, inference: FakeInference) -> None:
        self.inference = inference
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=10)
        self.limited_key = limited_key

    def sent(self) -> dict[str, object]:
        """The last request as the worker got it."""
        body: dict[str, object] = msgspec.json.decode(self.inference.requests[-1].body)
        return body


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=1)})
    inference = FakeInference("m", "org/other")
    inference.answer = answer
    key, limited = auth.person("ada"), auth.person("bob", tier="default")
    parts = [
        part(auth.worker(), home=tmp_path),
        part(inference.worker(), home=tmp_path),
        part(WORKER, home=tmp_path, http__port=0),
    ]
    async with swarm(parts, home=tmp_path) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        one = Scene(running["gateway"].addresses["http"], key, limited, inference)
        async with one.client:
            yield one


async def answer(request: ProcessRequest, call: Call) -> Processed:
    """Whole as `echo`; streamed as OpenAI does it, with usage where it is asked for."""
    if call.send is None:
        return await echo(request, call)
    options = msgspec.json.decode(request.body).get("stream_options") or {}
    stamp = {
        "id": request.completion_id,
        "object": "chat.completion.chunk",
        "created": request.created,
        "model": request.public_model,
    }
    deltas = [{"role": "assistant", "content": ""}, {"content": "one "}, {"content": "two"}]
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        await call.send([msgspec.json.encode({**stamp, "choices": [choice]})])
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    await call.send([msgspec.json.encode({**stamp, "choices": [last]})])
    if options.get("include_usage"):
        usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        await call.send([msgspec.json.encode({**stamp, "choices": [], "usage": usage})])
    return Processed(usage=Usage(2, 3), finish_reason="stop", model=request.public_model)


async def test_a_whole_answer(scene: Scene) -> None:
    completion = await scene.client.chat.completions.create(model="m", messages=MESSAGES, temperature=0)
    assert completion.choices[0].message.content == "one two three"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == "m"
    assert scene.sent() == {"model": "m", "messages": MESSAGES, "temperature": 0}


async def test_a_streamed_answer_with_usage(scene: Scene) -> None:
    stream = await scene.client.chat.completions.create(
        model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


async def test_headers_and_request_id(scene: Scene) -> None:
    raw = await scene.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().choices


async def test_models(scene: Scene) -> None:
    assert [model.id async for model in scene.client.models.list()] == ["m", "org/other"]
    assert (await scene.client.models.retrieve("org/other")).owned_by == "hyperinfer"
    with pytest.raises(openai.NotFoundError):
        await scene.client.models.retrieve("nothing")


async def test_errors_are_the_clients_own_classes(scene: Scene) -> None:
    create = scene.client.chat.completions.create
    with pytest.raises(openai.NotFoundError) as unknown:
        await create(model="nothing", messages=MESSAGES)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        await scene.client.with_options(api_key="hi_wrong").chat.completions.create(model="m", messages=MESSAGES)
    limited = scene.client.with_options(api_key=scene.limited_key)
    await limited.chat.completions.create(model="m", messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as often:
        await limited.chat.completions.create(model="m", messages=MESSAGES)
    assert int(often.value.response.headers["retry-after"]) > 0

    async def too_long(request: ProcessRequest, call: Call) -> Processed:
        raise ContextExceeded("The prompt is too long.", param="messages")

    scene.inference.answer = too_long
    with pytest.raises(openai.BadRequestError) as long:
        await create(model="m", messages=MESSAGES)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")


async def test_a_stream_that_breaks_off_raises(scene: Scene) -> None:
    async def broken(request: ProcessRequest, call: Call) -> Processed:
        await call.stream([b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}'])
        raise BackendFailed("The model broke off.")

    scene.inference.answer = broken
    stream = await scene.client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in stream:
            pass


async def test_closing_a_stream_stops_the_work(scene: Scene) -> None:
    stopped = asyncio.Event()

    async def endless(request: ProcessRequest, call: Call) -> Processed:
        try:
            await answer(request, call)
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    scene.inference.answer = endless
    stream = await scene.client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    async for _ in stream:
        break
    await stream.close()
    async with asyncio.timeout(1):
        await stopped.wait()
