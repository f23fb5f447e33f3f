"""The official `ollama` clients of the product."""

from collections.abc import AsyncIterator, Iterator

import ollama
import pytest
from tests.contract.product import Product

TEXT = "one two three"
MESSAGES = [{"role": "user", "content": TEXT}]


def headers(product: Product) -> dict[str, str]:
    """How the client authenticates."""
    return {"Authorization": f"Bearer {product.key}"}


@pytest.fixture
async def client(product: Product) -> AsyncIterator[ollama.AsyncClient]:
    """The client for asyncio."""
    async with ollama.AsyncClient(host=product.url, headers=headers(product), timeout=20) as one:
        yield one


@pytest.fixture
def blocking(product: Product) -> Iterator[ollama.Client]:
    """The client that blocks."""
    with ollama.Client(host=product.url, headers=headers(product), timeout=20) as one:
        yield one
