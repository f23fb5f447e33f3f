"""The official client and the real engine: shape, determinism and bounds; what so small a model says is not judged."""

from collections.abc import AsyncIterator, Iterator
from typing import Literal

import ollama
import pytest
from pydantic import BaseModel
from tests.contract.product import Product, staged

from .conftest import headers

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

MODEL = "smollm2-135m"
COUNT = [{"role": "user", "content": "Count from one to ten."}]
OPTIONS = {"temperature": 0, "seed": 1, "num_predict": 12, "top_k": 40, "min_p": 0.05, "repeat_penalty": 1.1}


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    level: Literal[1, 2, 3]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product with the shipped model."""
    settings = {"threads": 1, "slots": 2, "context_tokens": 512}
    with staged(
        tmp_path_factory.mktemp("engine"), {}, **{f"llamacpp__{name}": value for name, value in settings.items()}
    ) as running:
        yield running


@pytest.fixture
async def client(engine: Product) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(host=engine.url, headers=headers(engine), timeout=40) as one:
        yield one


@pytest.mark.seen("ollama (Python)", "a chat, whole", "a chat, streamed", "usage")
async def test_whole_and_streamed_say_the_same(client: ollama.AsyncClient) -> None:
    whole = await client.chat(MODEL, COUNT, options=OPTIONS)
    lines = [line async for line in await client.chat(f"{MODEL}:latest", COUNT, options=OPTIONS, stream=True)]
    assert "".join(line.message.content or "" for line in lines) == whole.message.content
    assert whole.message.content
    assert whole.done_reason == lines[-1].done_reason == "length"
    assert whole.eval_count == lines[-1].eval_count == 12
    assert whole.prompt_eval_count == lines[-1].prompt_eval_count
    for last in (whole, lines[-1]):
        assert last.total_duration
        assert last.prompt_eval_duration
        assert last.eval_duration
        assert last.prompt_eval_duration + last.eval_duration <= last.total_duration


async def test_options_reach_the_engine(client: ollama.AsyncClient) -> None:
    hot = {"temperature": 1.8, "num_predict": 16}
    one = await client.chat(MODEL, COUNT, options={**hot, "seed": 1, "top_k": 1})
    other = await client.chat(MODEL, COUNT, options={**hot, "seed": 2, "top_k": 1})
    free = await client.chat(MODEL, COUNT, options={**hot, "seed": 2})
    assert one.message.content == other.message.content != free.message.content


@pytest.mark.seen("ollama (Python)", "completions")
async def test_a_text_is_gone_on_with(client: ollama.AsyncClient) -> None:
    text = await client.generate(MODEL, "One, two,", raw=True, options={**OPTIONS, "num_predict": 6})
    assert text.response
    assert text.eval_count == 6


@pytest.mark.seen("ollama (Python)", "an answer of a class")
async def test_an_answer_is_of_the_class_that_was_asked_for(client: ollama.AsyncClient) -> None:
    answer = await client.chat(
        MODEL,
        [{"role": "user", "content": "How are you?"}],
        format=Mood.model_json_schema(),
        options={"num_predict": 100, "temperature": 0},
    )
    Mood.model_validate_json(answer.message.content or "")


@pytest.mark.seen("ollama (Python)", "models")
async def test_what_is_told_of_it(client: ollama.AsyncClient) -> None:
    assert (await client.generate(MODEL)).done_reason == "load"
    [running] = (await client.ps()).models
    assert (running.model, running.context_length) == (MODEL, 512)
    assert running.size
    assert "tools" not in ((await client.show(MODEL)).capabilities or ())


@pytest.mark.seen("ollama (Python)", "errors as its exceptions")
async def test_a_prompt_beyond_the_context_is_refused(client: ollama.AsyncClient) -> None:
    with pytest.raises(ollama.ResponseError, match=r"exceeds the available context size \(512 tokens\)") as long:
        await client.chat(MODEL, [{"role": "user", "content": "word " * 2000}])
    assert long.value.status_code == 400


@pytest.mark.seen("ollama (Python)", "leaving frees the slot")
async def test_leaving_frees_the_slot_within_a_second(client: ollama.AsyncClient, engine: Product) -> None:
    story = [{"role": "user", "content": "Write a very long story about the sea."}]
    async for _ in await client.chat(MODEL, story, stream=True):
        break
    await engine.until_busy(MODEL, 0, timeout_s=1)
