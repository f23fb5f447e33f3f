"""Refusals and failures as the official client raises them: Ollama's statuses, and its words where it has any."""

from typing import Any

import ollama
import pytest
from tests.contract.product import PLAIN, Product

from .conftest import MESSAGES

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def said(client: ollama.AsyncClient, **changes: Any) -> str:
    answer: Any = await client.chat(**{"model": "echo", "messages": MESSAGES, **changes})
    lines = [line async for line in answer] if changes.get("stream") else [answer]
    return "".join(line.message.content or "" for line in lines)


async def refused(client: ollama.AsyncClient, **changes: Any) -> ollama.ResponseError:
    with pytest.raises(ollama.ResponseError) as caught:
        await said(client, **changes)
    return caught.value


@both
@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"model": "nothing"}, 404, "model 'nothing' not found"),
        ({"model": PLAIN, "tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "does not support tools"),
        ({"think": True}, 400, '"echo" does not support thinking'),
        ({"model": PLAIN, "logprobs": True}, 400, "does not support logprobs"),
        ({"model": PLAIN, "format": "json"}, 400, "format: "),
        ({"options": {"temperature": 3}}, 400, "options.temperature must be at most 2"),
        ({"options": {"typical_p": 0.5}}, 400, "options.typical_p"),
        (
            {"messages": [{"role": "user", "content": "x " * 20}], "model": "narrow"},
            400,
            "exceeds the available context",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "images": [b"\x89PNG\r\n\x1a\n"]}]},
            400,
            "messages[0].images[0]",
        ),
    ],
)
async def test_refusals(
    client: ollama.AsyncClient, stream: bool, changes: dict[str, Any], status: int, words: str
) -> None:
    error = await refused(client, stream=stream, **changes)
    assert error.status_code == status
    assert words in error.error


async def test_words_made_to_confuse_come_as_they_are(client: ollama.AsyncClient) -> None:
    whole = await said(client, model="confusing")
    assert await said(client, model="confusing", stream=True) == whole
    assert '{"error":{}}' in whole


async def test_kinds_of_models(client: ollama.AsyncClient) -> None:
    with pytest.raises(ollama.ResponseError, match=r'"org/plain:1b" does not support embeddings') as refused:
        await client.embed(PLAIN, "x")
    assert refused.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match=r'"org/plain:1b" does not support generate'):
        await client.generate(PLAIN, "x", raw=True)
    with pytest.raises(ollama.ResponseError, match=r'"echo" does not support insert'):
        await client.generate("echo", "x", suffix="y")
    with pytest.raises(ollama.ResponseError, match=r"context: "):
        await client.generate("echo", "x", context=[1, 2])


async def test_a_limit_that_is_used_up(product: Product) -> None:
    key = await product.person("olli", requests_per_minute=1)
    async with ollama.AsyncClient(host=product.url, headers={"Authorization": f"Bearer {key}"}) as client:
        await client.chat("echo", MESSAGES)
        error = await refused(client)
    assert error.status_code == 429


async def test_leaving_frees_the_slot_within_a_second(client: ollama.AsyncClient, product: Product) -> None:
    async for _ in await client.chat("endless", MESSAGES, stream=True):
        break  # the client closes the connection with the generator
    await product.until_busy("endless", 0, timeout_s=1)


async def test_a_model_that_is_busy(client: ollama.AsyncClient, product: Product) -> None:
    lines = await client.chat("single", MESSAGES, stream=True)
    await anext(lines)
    error = await refused(client, model="single")
    assert error.status_code == 503
    await lines.aclose()  # type: ignore[attr-defined]  # it is a generator
    await product.until_busy("single", 0, timeout_s=1)
