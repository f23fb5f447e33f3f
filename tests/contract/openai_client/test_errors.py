"""Every refusal and failure is an exception class of the official client, with the code and field that it tells by."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from .conftest import MESSAGES, PLAIN, Product

LONG: list[ChatCompletionMessageParam] = [{"role": "user", "content": "far too many words for a model so narrow"}]
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def refused(client: openai.AsyncOpenAI, kind: type[openai.APIStatusError], **changes: Any) -> Any:
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(**{"model": "echo", "messages": MESSAGES, **changes})
    assert caught.value.request_id
    return caught.value


@both
async def test_a_model_that_nobody_has(client: openai.AsyncOpenAI, stream: bool) -> None:
    error = await refused(client, openai.NotFoundError, model="nothing", stream=stream)
    assert (error.code, error.type) == ("model_not_found", "invalid_request_error")
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.models.retrieve("nothing")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="nothing", input="x")


async def test_a_key_that_is_none(client: openai.AsyncOpenAI) -> None:
    error = await refused(client.with_options(api_key="hi_wrong"), openai.AuthenticationError)
    assert (error.code, error.type) == ("invalid_api_key", "authentication_error")


async def test_a_key_that_may_not(client: openai.AsyncOpenAI, product: Product) -> None:
    made = await product.ask("POST", "/api/auth/api-keys", {"scopes": ["inference"], "models": ["echo"]})
    narrow = client.with_options(api_key=made["key"])
    error = await refused(narrow, openai.PermissionDeniedError, model="eyes")
    assert error.type == "permission_error"


@both
async def test_over_a_limit(client: openai.AsyncOpenAI, product: Product, stream: bool) -> None:
    key = await product.person(f"often{stream}".lower(), requests_per_minute=1)
    limited = client.with_options(api_key=key)
    await limited.chat.completions.create(model="echo", messages=MESSAGES)
    error = await refused(limited, openai.RateLimitError, stream=stream)
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    headers = error.response.headers
    assert 0 < int(headers["retry-after"]) <= 60
    assert 0 < int(headers["retry-after-ms"]) <= 60_000
    assert headers["x-ratelimit-remaining-requests"] == "0"


@both
async def test_a_prompt_that_is_too_long(client: openai.AsyncOpenAI, stream: bool) -> None:
    error = await refused(client, openai.BadRequestError, model="narrow", messages=LONG, stream=stream)
    assert (error.code, error.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": "two"}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"logit_bias": {"1": 101}}, "logit_bias[...]"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"stream_options": {"include_usage": "yes"}, "stream": True}, "stream_options.include_usage"),
        ({"model": 5}, "model"),
    ],
)
async def test_what_is_wrong_is_named(client: openai.AsyncOpenAI, changes: dict[str, Any], param: str) -> None:
    error = await refused(client, openai.BadRequestError, **changes)
    assert error.param == param
    assert error.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
    ],
)
@both
async def test_what_a_model_cannot_do_is_named(
    client: openai.AsyncOpenAI, changes: dict[str, Any], param: str, stream: bool
) -> None:
    error = await refused(client, openai.BadRequestError, model=PLAIN, stream=stream, **changes)
    assert (error.param, error.code) == (param, "unsupported_parameter")


async def test_a_header_about_the_cache_that_means_nothing(client: openai.AsyncOpenAI) -> None:
    error = await refused(client, openai.BadRequestError, extra_headers={"x-hyperinfer-cache": "maybe"})
    assert error.param == "x-hyperinfer-cache"


@both
async def test_a_backend_that_fails_before_it_has_said_anything(client: openai.AsyncOpenAI, stream: bool) -> None:
    error = await refused(client, openai.InternalServerError, model="dead", stream=stream)
    assert error.status_code in (502, 503)  # at last nobody asks it any more


async def test_a_stream_that_breaks_off_raises(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="brittle", messages=MESSAGES, stream=True)
    said: list[str] = []

    async def listen() -> None:
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - what came before the end is wanted, too

    with pytest.raises(openai.APIError) as broken:
        await listen()
    assert "".join(said) == "one two three"
    assert (broken.value.code, broken.value.type) == ("backend_failed", "server_error")


async def test_a_body_beyond_the_bound(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "x" * 9_000_000}]
    with pytest.raises(openai.APIStatusError) as refused:
        await client.chat.completions.create(model="echo", messages=messages)
    assert (refused.value.status_code, refused.value.code) == (413, "too_large")
