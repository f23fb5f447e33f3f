"""The Responses API as LangChain asks for it."""

from collections.abc import AsyncIterator

import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from .conftest import Product

TEXT = "one two three"


class Weather(BaseModel):
    """How the weather is somewhere."""

    city: str
    days: int


@pytest.fixture
async def chat(product: Product) -> AsyncIterator[ChatOpenAI]:
    async with openai.DefaultAsyncHttpxClient() as http:  # its own is kept for whoever comes next, in another loop
        yield ChatOpenAI(
            model="echo",
            base_url=f"{product.url}/v1",
            api_key=SecretStr(product.key),
            use_responses_api=True,
            output_version="responses/v1",
            http_async_client=http,
            max_retries=0,
            timeout=20,
        )


@pytest.mark.seen("langchain-openai", "responses")
async def test_it_is_answered_whole_and_streamed(chat: ChatOpenAI) -> None:
    whole = await chat.ainvoke(TEXT)
    assert whole.text == TEXT
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] == 6
    together: AIMessageChunk | None = None
    async for chunk in chat.astream(TEXT):
        assert isinstance(chunk, AIMessageChunk)
        together = chunk if together is None else together + chunk
    assert together is not None
    assert together.text == TEXT


async def test_a_tool_is_called_and_its_output_answered(chat: ChatOpenAI) -> None:
    said = HumanMessage(TEXT)
    called = await chat.bind_tools([Weather]).ainvoke([said])
    [call] = called.tool_calls
    assert (call["name"], set(call["args"])) == ("Weather", {"city", "days"})
    answer = await chat.bind_tools([Weather]).ainvoke([said, called, ToolMessage("It rains.", tool_call_id=call["id"])])
    assert answer.text == "It rains."


async def test_an_answer_is_parsed_into_a_class(chat: ChatOpenAI) -> None:
    assert isinstance(await chat.with_structured_output(Weather, method="json_schema").ainvoke(TEXT), Weather)
