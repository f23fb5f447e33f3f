"""The official clients for Node, as npm has them, against the product: OpenAI's, Anthropic's, Ollama's."""

from pathlib import Path

import pytest
from tests.contract.product import PLAIN, TEMPLATE, Product, staged

from .conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("client", ["openai", "anthropic", "ollama"])
async def test_it_works_as_it_is(node: Run, product: Product, client: str) -> None:
    limited = await product.person(f"node-{client}", requests_per_minute=1)
    given = {"URL": product.url, "KEY": product.key, "LIMITED": limited, "PLAIN": PLAIN}
    said = await node("--test", "--test-reporter=tap", f"{client}.test.mjs", **given)
    assert "\n# fail 0\n" in said


@pytest.mark.needs_model
async def test_the_real_engine(node: Run, tmp_path: Path) -> None:
    template = tmp_path / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    settings = {"threads": 1, "slots": 2, "context_tokens": 512, "chat_template_file": str(template)}
    with staged(tmp_path, {}, **{f"llamacpp__{name}": value for name, value in settings.items()}) as engine:
        said = await node("--test", "--test-reporter=tap", "engine.test.mjs", URL=engine.url, KEY=engine.key)
    assert "\n# fail 0\n" in said
