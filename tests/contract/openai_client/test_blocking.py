"""The official client that blocks: the same product, from ordinary code and threads."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from .conftest import MESSAGES


class City(BaseModel):
    name: str


def test_a_chat_whole_and_streamed(blocking: openai.OpenAI) -> None:
    whole = blocking.chat.completions.create(model="echo", messages=MESSAGES)
    assert whole.choices[0].message.content == "one two three"
    with blocking.chat.completions.create(
        model="echo", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[-1].usage is not None


def test_tools_and_formats(blocking: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(City, name="city")
    called = blocking.chat.completions.parse(model="echo", messages=MESSAGES, tools=[tool])
    assert called.choices[0].message.tool_calls is not None
    assert called.choices[0].message.tool_calls[0].function.parsed_arguments == City(name="echo")
    parsed = blocking.chat.completions.parse(model="echo", messages=MESSAGES, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="echo")


def test_texts_and_embeddings(blocking: openai.OpenAI) -> None:
    assert blocking.completions.create(model="echo", prompt="again").choices[0].text == "again"
    assert len(blocking.embeddings.create(model="echo", input="x").data[0].embedding) == 64
    assert "echo" in {model.id for model in blocking.models.list()}


def test_errors(blocking: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        blocking.chat.completions.create(model="nothing", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError) as wrong:
        blocking.chat.completions.create(model="echo", messages=MESSAGES, temperature=9)
    assert wrong.value.param == "temperature"
    with (
        pytest.raises(openai.APIError) as broken,
        blocking.chat.completions.create(model="brittle", messages=MESSAGES, stream=True) as stream,
    ):
        list(stream)
    assert broken.value.code == "backend_failed"


def test_many_threads_at_once(blocking: openai.OpenAI) -> None:
    def ask(number: int) -> str:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": f"thread {number}"}]
        return blocking.chat.completions.create(model="echo", messages=messages).choices[0].message.content or ""

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(50))) == [f"thread {number}" for number in range(50)]
