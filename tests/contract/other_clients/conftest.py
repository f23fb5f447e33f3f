"""The product with the model that comes along, for clients that are made of the official ones."""

from collections.abc import Iterator

import pytest
from tests.contract.product import TEMPLATE, Product, staged

__all__ = ["MODEL", "Product"]

MODEL = "smollm2-135m"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product with the shipped model, which is made to call tools."""
    home = tmp_path_factory.mktemp("engine")
    template = home / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    settings = {"threads": 1, "slots": 2, "context_tokens": 512, "chat_template_file": str(template)}
    with staged(home, {}, **{f"llamacpp__{name}": value for name, value in settings.items()}) as running:
        yield running
