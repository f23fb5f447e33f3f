"""The official `openai` clients of the product."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.contract.product import PLAIN, Product, staged

__all__ = ["MESSAGES", "PLAIN", "Product", "staged"]

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two three"}]


@pytest.fixture
async def client(product: Product) -> AsyncIterator[openai.AsyncOpenAI]:
    """The client for asyncio, which tries nothing twice."""
    async with openai.AsyncOpenAI(base_url=f"{product.url}/v1", api_key=product.key, max_retries=0, timeout=20) as one:
        yield one


@pytest.fixture
def blocking(product: Product) -> Iterator[openai.OpenAI]:
    """The client that blocks."""
    with openai.OpenAI(base_url=f"{product.url}/v1", api_key=product.key, max_retries=0, timeout=20) as one:
        yield one
