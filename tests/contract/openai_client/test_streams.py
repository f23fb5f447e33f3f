"""Clients that leave, wait too long, come all at once, or find a model busy."""

import asyncio
import time

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from .conftest import MESSAGES, Product


@pytest.mark.seen("openai (Python)", "leaving frees the slot")
async def test_closing_a_stream_frees_its_slot_within_a_second(client: openai.AsyncOpenAI, product: Product) -> None:
    stream = await client.chat.completions.create(model="endless", messages=MESSAGES, stream=True)
    async for _ in stream:
        break
    await product.until_busy("endless", 1, timeout_s=5)
    await stream.close()
    await product.until_busy("endless", 0, timeout_s=1)


async def test_leaving_a_whole_answer_frees_its_slot_within_a_second(
    client: openai.AsyncOpenAI, product: Product
) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(client.chat.completions.create(model="endless", messages=MESSAGES))
        await product.until_busy("endless", 1, timeout_s=5)
        asking.cancel()
    await product.until_busy("endless", 0, timeout_s=1)


async def test_leaving_several_answers_frees_all_their_slots(client: openai.AsyncOpenAI, product: Product) -> None:
    stream = await client.chat.completions.create(model="endless", messages=MESSAGES, stream=True, n=3)
    await product.until_busy("endless", 3, timeout_s=5)
    await stream.close()
    await product.until_busy("endless", 0, timeout_s=1)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_clients_own_timeout(client: openai.AsyncOpenAI, product: Product, stream: bool) -> None:
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.5).chat.completions.create(
            model="thinking", messages=MESSAGES, stream=stream
        )
    assert time.monotonic() - began < 3
    await product.until_busy("thinking", 0, timeout_s=1)


async def test_a_model_that_is_busy_says_when_to_come_again(client: openai.AsyncOpenAI, product: Product) -> None:
    stream = await client.chat.completions.create(model="single", messages=MESSAGES, stream=True)
    await product.until_busy("single", 1, timeout_s=5)
    with pytest.raises(openai.InternalServerError) as full:
        await client.chat.completions.create(model="single", messages=MESSAGES)
    assert (full.value.status_code, full.value.code) == (503, "overloaded")
    assert int(full.value.response.headers["retry-after"]) >= 1
    assert int(full.value.response.headers["retry-after-ms"]) >= 1
    await stream.close()
    await product.until_busy("single", 0, timeout_s=1)


@pytest.mark.seen("openai (Python)", "it comes again by itself")
async def test_the_client_comes_again_by_itself(client: openai.AsyncOpenAI, product: Product) -> None:
    stream = await client.chat.completions.create(model="single", messages=MESSAGES, stream=True)
    await product.until_busy("single", 1, timeout_s=5)
    async with asyncio.TaskGroup() as group:
        patient = client.with_options(max_retries=5).chat.completions
        asking = group.create_task(patient.create(model="single", messages=MESSAGES, max_tokens=1))
        await asyncio.wait([asking], timeout=0.2)
        assert not asking.done()
        await stream.close()
    assert (await asking).choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
async def test_fifty_at_once_each_get_their_own_answer(client: openai.AsyncOpenAI, stream: bool) -> None:
    async def ask(number: int) -> str:
        words = f"request number {number}"
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": words}]
        if not stream:
            whole = await client.chat.completions.create(model="echo", messages=messages)
            return whole.choices[0].message.content or ""
        chunks = await client.chat.completions.create(model="echo", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(number)) for number in range(50)]
    assert [await one for one in asking] == [f"request number {number}" for number in range(50)]


async def test_a_long_stream_is_whole(client: openai.AsyncOpenAI) -> None:
    words = " ".join(map(str, range(5000)))
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": words}]
    stream = await client.chat.completions.create(model="echo", messages=messages, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == words
