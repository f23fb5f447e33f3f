"""The response cache as an application sees it: only where it is asked for, told in a header, nobody else's."""

from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam

from .conftest import Product

ON = {"x-hyperinfer-cache": "on"}
OFF = {"x-hyperinfer-cache": "off"}


def saying(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


async def cache_of(client: openai.AsyncOpenAI, text: str, headers: dict[str, str], **changes: Any) -> str | None:
    """What the answer says of the cache."""
    raw = await client.chat.completions.with_raw_response.create(
        **{"model": "echo", "messages": saying(text), "temperature": 0, "extra_headers": headers, **changes}
    )
    answer = raw.parse()
    if changes.get("stream"):
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
    else:
        said = answer.choices[0].message.content
    assert said == text
    told: str | None = raw.headers.get("x-hyperinfer-cache")
    return told


async def test_an_answer_is_given_again_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    assert await cache_of(client, "kept for later", ON) == "miss"
    assert await cache_of(client, "kept for later", ON) == "hit"
    assert await cache_of(client, "kept for later", ON, stream=True) == "hit"
    assert await cache_of(client, "kept for later", OFF) is None
    assert await cache_of(client, "kept for later", {}) is None
    assert await cache_of(client, "kept for later", ON, max_tokens=50) == "miss"


async def test_nothing_is_kept_of_an_answer_left_to_chance(client: openai.AsyncOpenAI) -> None:
    for _ in range(2):
        assert await cache_of(client, "left to chance", ON, temperature=0.7) in (None, "miss")


async def test_nobody_is_given_what_another_has_asked(client: openai.AsyncOpenAI, product: Product) -> None:
    assert await cache_of(client, "my secret", ON) == "miss"
    assert await cache_of(client, "my secret", ON) == "hit"
    other = client.with_options(api_key=await product.person("curious"))
    assert await cache_of(other, "my secret", ON) == "miss"


async def test_an_answer_given_again_has_a_stamp_of_its_own(client: openai.AsyncOpenAI) -> None:
    create = client.chat.completions.create
    answers = [await create(model="echo", messages=saying("stamped"), seed=1, extra_headers=ON) for _ in range(2)]
    assert answers[0].id != answers[1].id
    assert answers[0].usage == answers[1].usage
    assert answers[0].choices == answers[1].choices


async def test_embeddings_are_kept_too(client: openai.AsyncOpenAI) -> None:
    create = client.embeddings.with_raw_response.create
    first = await create(model="echo", input=["kept", "vectors"], extra_headers=ON)
    again = await create(model="echo", input=["kept", "vectors"], extra_headers=ON, encoding_format="float")
    assert (first.headers["x-hyperinfer-cache"], again.headers["x-hyperinfer-cache"]) == ("miss", "hit")
    assert first.parse().data == again.parse().data
