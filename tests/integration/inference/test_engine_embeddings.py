"""A real embedding model in the embedded engine: its vectors, their order, and what is too long."""

import base64
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.inference.conftest import House, house

from hyperinfer.errors import ContextExceeded, Unsupported
from hyperinfer.testing.gguf import embedding_model

pytestmark = [pytest.mark.slow, pytest.mark.needs_embedding_model]

CAT = "A cat sat on the mat."
FELINE = "A feline rested on a rug."
MARKETS = "Stock markets fell sharply today."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedding_model(tmp_path_factory.mktemp("models") / "minilm.gguf")


async def embed(running: House, texts: Any, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(
        (await running.ask({"input": texts, **fields}, kind="embedding")).completion
    )
    return answer


def alike(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine; the vectors have the length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_what_is_alike_in_meaning_has_like_vectors(tmp_path: Path, model: Path) -> None:
    async with house(tmp_path, model_path=str(model)) as running:
        offered = running.service.status().models[0]
        assert set(offered.capabilities) == {"embedding", "tokens"}
        await running.ready()
        answer = await embed(running, [CAT, FELINE, MARKETS])
        vectors = [one["embedding"] for one in answer["data"]]
        assert [one["index"] for one in answer["data"]] == [0, 1, 2]
        assert [len(vector) for vector in vectors] == [384] * 3
        assert all(math.isclose(alike(vector, vector), 1, abs_tol=1e-3) for vector in vectors)
        assert alike(vectors[0], vectors[1]) > 0.4 > 0.2 > alike(vectors[0], vectors[2])
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 20
        coded = await embed(running, CAT, encoding_format="base64")
        raw = base64.b64decode(coded["data"][0]["embedding"])
        assert alike(struct.unpack("<384f", raw), vectors[0]) > 0.999
        tokens = await embed(running, [101, 1037, 4937, 2938, 2006, 1996, 13523, 1012, 102])
        assert alike(tokens["data"][0]["embedding"], vectors[0]) > 0.999


async def test_many_texts_keep_their_order(tmp_path: Path, model: Path) -> None:
    texts = [f"Number {number} of a list." for number in range(50)]
    async with house(tmp_path, model_path=str(model)) as running:
        await running.ready()
        answer = await embed(running, texts)
        one = await embed(running, texts[37])
    assert alike(answer["data"][37]["embedding"], one["data"][0]["embedding"]) > 0.999
    likest = max(range(50), key=lambda at: alike(answer["data"][at]["embedding"], one["data"][0]["embedding"]))
    assert likest == 37


async def test_what_is_too_long_is_refused_before_anything_is_embedded(tmp_path: Path, model: Path) -> None:
    async with house(tmp_path, model_path=str(model)) as running:
        await running.ready()
        with pytest.raises(ContextExceeded) as refused:
            await embed(running, [CAT, "word " * 700])
        assert refused.value.details == {"param": "input", "prompt_tokens": 702, "context_tokens": 512}
        with pytest.raises(ContextExceeded):
            await embed(running, [[101] * 513])
        long = "extraordinarily " * 60  # more bytes than the model takes tokens, and fewer tokens
        assert (await embed(running, long))["usage"]["prompt_tokens"] < 512


async def test_it_is_asked_for_nothing_else(tmp_path: Path, model: Path) -> None:
    async with house(tmp_path, model_path=str(model)) as running:
        with pytest.raises(Unsupported):
            await running.say("Hello.")
        with pytest.raises(Unsupported):
            await embed(running, CAT, dimensions=64)
