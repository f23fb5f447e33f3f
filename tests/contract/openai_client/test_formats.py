"""Answers in JSON, and under a schema that the official client makes and reads by itself; images."""

import base64
import json
from typing import Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from .conftest import MESSAGES, PLAIN

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


class Step(BaseModel):
    what: str
    minutes: int


class Recipe(BaseModel):
    name: str
    kind: Literal["soup", "salad"]
    steps: list[Step]
    is_hot: bool


async def test_some_object(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="echo", messages=MESSAGES, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


async def test_an_answer_is_parsed_into_a_class(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(model="echo", messages=MESSAGES, response_format=Recipe)
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Recipe)
    assert parsed.kind == "soup"
    assert answer.choices[0].message.refusal is None


async def test_also_a_streamed_one(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="echo", messages=MESSAGES, response_format=Recipe) as stream:
        events = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert "content.done" in events
    assert isinstance(final.choices[0].message.parsed, Recipe)


async def test_a_schema_beyond_all_measure_is_refused(client: openai.AsyncOpenAI) -> None:
    schema: dict[str, object] = {"type": "object"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"x": schema}}
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model="echo",
            messages=MESSAGES,
            response_format={"type": "json_schema", "json_schema": {"name": "deep", "schema": schema}},
        )
    assert refused.value.param is not None
    assert refused.value.param.startswith("response_format")


async def test_a_model_that_holds_to_no_format_says_so(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.parse(model=PLAIN, messages=MESSAGES, response_format=Recipe)
    assert (refused.value.param, refused.value.code) == ("response_format", "unsupported_parameter")


def showing(url: str) -> list[ChatCompletionMessageParam]:
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            ],
        }
    ]


async def test_an_image_in_the_request_is_taken_by_a_model_that_sees(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="eyes", messages=showing(f"data:image/png;base64,{PNG}"))
    assert answer.choices[0].message.content == "What is this?"


@pytest.mark.parametrize(
    ("model", "url", "param", "code"),
    [
        ("eyes", "http://127.0.0.1:1/a.png", "messages[0].content[1].image_url.url", "unsupported_parameter"),
        ("eyes", "https://example.com/a.png", "messages[0].content[1].image_url.url", "unsupported_parameter"),
        ("eyes", "file:///etc/passwd", "messages[0].content[1].image_url.url", "unsupported_parameter"),
        ("eyes", "data:image/svg+xml;base64,AAAA", "messages[0].content[1].image_url.url", None),
        ("eyes", f"data:image/jpeg;base64,{PNG}", "messages[0].content[1].image_url.url", None),
        ("eyes", "data:image/png;base64,%%%", "messages[0].content[1].image_url.url", None),
        ("echo", f"data:image/png;base64,{PNG}", "messages[0].content[1]", "unsupported_parameter"),
    ],
)
async def test_every_other_image_is_refused_by_name(
    client: openai.AsyncOpenAI, model: str, url: str, param: str, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model=model, messages=showing(url))
    assert (refused.value.param, refused.value.code) == (param, code)
    assert "passwd" not in refused.value.message
