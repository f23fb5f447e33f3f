"""What the official client makes of what goes wrong: its classes, its retries, and what is left behind."""

import asyncio
from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import MessageParam
from tests.contract.product import PLAIN, Product

from hyperinfer.contracts.gateway import Head, Infer, Inferred
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta
from hyperinfer.edge.app import create_app
from hyperinfer.errors import HyperinferError, Overloaded, RateLimited
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.gateway import FakeGateway

from .conftest import MESSAGES


@pytest.mark.parametrize(
    ("changes", "kind", "type_", "says"),
    [
        ({"model": "nothing"}, anthropic.NotFoundError, "not_found_error", "nothing"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error", "max_tokens must be at least 1"),
        ({"extra_body": {"temperature": 2.0}}, anthropic.BadRequestError, "invalid_request_error", "temperature must be at most 1"),
        ({"model": "narrow", "messages": [{"role": "user", "content": "a " * 9}]}, anthropic.BadRequestError,
         "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
        ({"model": PLAIN, "tools": [{"name": "f", "input_schema": {}}]}, anthropic.BadRequestError,
         "invalid_request_error", "tools: This model calls no tools."),
        ({"model": PLAIN, "output_config": {"format": {"type": "json_schema", "schema": {}}}},
         anthropic.BadRequestError, "invalid_request_error", "output_config.format: "),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError,
         "invalid_request_error", "tools[0].type: 'web_search_20250305'"),
        ({"model": "dead"}, anthropic.InternalServerError, "", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_are_those_that_the_client_knows(
    client: anthropic.AsyncAnthropic, changes: Any, kind: type[Exception], type_: str, says: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"model": "echo", "max_tokens": 64, "messages": MESSAGES} | changes
    with pytest.raises(kind) as refused:
        await client.messages.create(**asked, stream=stream)
    error = refused.value
    assert isinstance(error, anthropic.APIStatusError)
    assert isinstance(error.body, dict)
    assert error.body["type"] == "error"
    if type_:  # one that keeps failing is left alone after a while, so that its error is one of two
        assert error.body["error"]["type"] == type_
    assert says in error.body["error"]["message"]
    assert error.request_id is not None
    assert error.request_id.startswith("req_")


async def test_who_is_let_in(client: anthropic.AsyncAnthropic) -> None:
    stranger = client.with_options(api_key="hi_wrong")
    with pytest.raises(anthropic.AuthenticationError) as refused:
        await stranger.messages.create(model="echo", max_tokens=9, messages=MESSAGES)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "authentication_error"


async def test_a_stream_that_breaks_says_so(client: anthropic.AsyncAnthropic) -> None:
    said: list[str] = []

    async def listen() -> None:
        messages: list[MessageParam] = [{"role": "user", "content": "a b c d e"}]
        async with client.messages.stream(model="brittle", max_tokens=64, messages=messages) as stream:
            async for text in stream.text_stream:
                said.append(text)  # noqa: PERF401 - what came before it broke is wanted

    with pytest.raises(anthropic.APIStatusError) as broken:
        await listen()
    assert "".join(said) == "a b c"
    assert isinstance(broken.value.body, dict)
    assert broken.value.body["error"]["type"] == "api_error"
    assert broken.value.body["request_id"].startswith("req_")


async def test_what_confuses_comes_through(client: anthropic.AsyncAnthropic) -> None:
    whole = await client.messages.create(model="confusing", max_tokens=64, messages=MESSAGES)
    async with client.messages.stream(model="confusing", max_tokens=64, messages=MESSAGES) as stream:
        streamed = await stream.get_final_message()
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]


async def test_who_asks_too_often_is_told_when_to_come_again(
    client: anthropic.AsyncAnthropic, product: Product
) -> None:
    often = client.with_options(api_key=await product.person("claude", requests_per_minute=1))
    await often.messages.create(model="echo", max_tokens=9, messages=MESSAGES)
    with pytest.raises(anthropic.RateLimitError) as refused:
        await often.messages.create(model="echo", max_tokens=9, messages=MESSAGES)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "rate_limit_error"
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 60


@pytest.mark.seen("anthropic (Python)", "it comes again by itself")
async def test_the_client_comes_again_by_itself() -> None:
    refusals: list[HyperinferError] = [
        RateLimited("Wait.", retry_after_s=0.01),
        Overloaded("Full.", retry_after_s=0.01),
    ]
    completion = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"message": {"content": "at last"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }

    async def answer(request: Infer, meta: Meta, sink: Send | None) -> Inferred:
        if refusals:
            raise refusals.pop(0)
        raw = msgspec.Raw(msgspec.json.encode(completion))
        processed = Processed(usage=Usage(1, 2), finish_reason="stop", model="m", completion=raw)
        return Inferred(processed=processed, head=Head(worker="ab"))

    gateway = FakeGateway(processInferenceRequest=answer)
    app = create_app(gateway, HttpSettings(), request_timeout_s=10.0, metrics=False)
    async with (
        serving(app, Listen(port=0, drain_s=1.0)) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="k", auth_token=None, max_retries=2) as patient,
    ):
        message = await patient.messages.create(model="m", max_tokens=9, messages=MESSAGES)
    assert [block.text for block in message.content if block.type == "text"] == ["at last"]
    assert len(gateway.calls) == 3


async def test_hanging_up_frees_the_slot(client: anthropic.AsyncAnthropic, product: Product) -> None:
    async with client.messages.stream(model="endless", max_tokens=100_000, messages=MESSAGES) as stream:
        async for _ in stream.text_stream:
            break
    await product.until_busy("endless", 0, timeout_s=2)
    asking = asyncio.create_task(client.messages.create(model="thinking", max_tokens=9, messages=MESSAGES))
    await product.until_busy("thinking", 1, timeout_s=5)
    asking.cancel()
    await product.until_busy("thinking", 0, timeout_s=2)
