"""The official `anthropic` clients of the product."""

from collections.abc import AsyncIterator, Iterator

import anthropic
import pytest
from anthropic.types import MessageParam
from tests.contract.product import Product

TEXT = "one two three"
MESSAGES: list[MessageParam] = [{"role": "user", "content": TEXT}]


@pytest.fixture
async def client(product: Product) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The client for asyncio, which tries nothing twice."""
    async with anthropic.AsyncAnthropic(
        base_url=product.url, api_key=product.key, auth_token=None, max_retries=0, timeout=20
    ) as one:
        yield one


@pytest.fixture
def blocking(product: Product) -> Iterator[anthropic.Anthropic]:
    """The client that blocks; it sends its key as a token, as Claude Code does."""
    with anthropic.Anthropic(
        base_url=product.url, api_key=None, auth_token=product.key, max_retries=0, timeout=20
    ) as one:
        yield one
