"""LangChain's classes for OpenAI and the real engine: shape and bounds; what so small a model says is not judged."""

from collections.abc import Iterator
from typing import Literal

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from .conftest import MODEL, Product

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]


class Weather(BaseModel):
    """How the weather is somewhere."""

    city: Literal["Bern", "Rome"]
    days: Literal[1, 2, 3]


@pytest.fixture
def chat(engine: Product) -> Iterator[ChatOpenAI]:
    with openai.DefaultHttpxClient() as http:  # its own is kept for whoever comes next
        yield ChatOpenAI(
            model=MODEL,
            base_url=f"{engine.url}/v1",
            api_key=SecretStr(engine.key),
            http_client=http,
            max_retries=0,
            timeout=40,
            temperature=0,
            seed=1,
        )


@pytest.mark.seen("langchain-openai", "a chat, whole", "a chat, streamed", "usage", "a system prompt")
def test_whole_and_streamed_say_the_same(chat: ChatOpenAI) -> None:
    asked = [SystemMessage("Be brief."), HumanMessage("Count from one to ten.")]
    short = chat.bind(max_tokens=12)
    whole = short.invoke(asked)
    assert whole.usage_metadata is not None
    assert 0 < whole.usage_metadata["output_tokens"] <= 12
    assert whole.response_metadata["finish_reason"] in ("length", "stop")
    assert whole.response_metadata["model_name"] == MODEL
    together: AIMessageChunk | None = None
    for chunk in short.stream(asked, stream_usage=True):
        assert isinstance(chunk, AIMessageChunk)
        together = chunk if together is None else together + chunk
    assert together is not None
    assert together.text == whole.text != ""
    assert together.usage_metadata is not None
    assert together.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]


@pytest.mark.seen("langchain-openai", "several at once")
def test_a_batch(chat: ChatOpenAI) -> None:
    answers = chat.bind(max_tokens=4).batch(["one", "two", "three"], config={"max_concurrency": 3})
    assert [bool(answer.text) for answer in answers] == [True] * 3


@pytest.mark.seen("langchain-openai", "tools")
def test_a_tool_is_called_and_its_answer_read(chat: ChatOpenAI) -> None:
    asked = HumanMessage("How is the weather in Bern?")
    called = chat.bind_tools([Weather], tool_choice="Weather").invoke([asked])
    assert isinstance(called, AIMessage)
    [call] = called.tool_calls
    assert call["name"] == "Weather"
    Weather(**call["args"])
    told = ToolMessage("It rains.", tool_call_id=call["id"])
    assert chat.bind(max_tokens=4).invoke([asked, called, told]).text


@pytest.mark.seen("langchain-openai", "an answer of a class")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_answer_of_a_class(chat: ChatOpenAI, method: Literal["json_schema", "function_calling"]) -> None:
    assert isinstance(chat.with_structured_output(Weather, method=method).invoke("The weather in Rome?"), Weather)


@pytest.mark.seen("langchain-openai", "errors as its exceptions")
def test_errors_are_the_clients_own(chat: ChatOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        chat.bind(model="no-such-model").invoke("Hello.")
    with pytest.raises(openai.BadRequestError) as raised:
        chat.invoke("word " * 600)
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.seen("langchain-openai", "embeddings")
def test_texts_are_embedded(product: Product) -> None:
    with openai.DefaultHttpxClient() as http:
        embeddings = OpenAIEmbeddings(
            model="echo",
            base_url=f"{product.url}/v1",
            api_key=SecretStr(product.key),
            http_client=http,
            max_retries=0,
            check_embedding_ctx_length=False,  # else texts become the numbers of OpenAI's own tokens
        )
        found = embeddings.embed_documents(["a cat", "a dog", "a cat"])
        assert found[0] == found[2] != found[1]
        assert embeddings.embed_query("a dog") == found[1]
