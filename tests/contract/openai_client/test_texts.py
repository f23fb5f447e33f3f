"""The older completions API, and embeddings, with the official client."""

import base64
import struct

import openai
import pytest

from .conftest import PLAIN


async def test_a_text_is_gone_on_with(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt="one two three")
    [choice] = answer.choices
    assert (choice.text, choice.index, choice.finish_reason, choice.logprobs) == ("one two three", 0, "stop", None)
    assert (answer.object, answer.model) == ("text_completion", "echo")
    assert answer.id.startswith("cmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)


async def test_it_is_short_where_nobody_says_how_long(client: openai.AsyncOpenAI) -> None:
    prompt = " ".join(map(str, range(100)))
    short = await client.completions.create(model="echo", prompt=prompt)
    assert (len(short.choices[0].text.split()), short.choices[0].finish_reason) == (16, "length")
    longer = await client.completions.create(model="echo", prompt=prompt, max_tokens=200)
    assert longer.choices[0].text == prompt


async def test_the_prompt_is_repeated(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt="again", echo=True)
    assert answer.choices[0].text == "againagain"
    stream = await client.completions.create(model="echo", prompt="again", echo=True, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == "againagain"


@pytest.mark.parametrize("prompt", ["", [""], ["one"], ["one two"]])
async def test_a_list_of_one_is_as_good_as_a_text(client: openai.AsyncOpenAI, prompt: str | list[str]) -> None:
    [choice] = (await client.completions.create(model="echo", prompt=prompt)).choices
    assert choice.text == (prompt if isinstance(prompt, str) else prompt[0])


async def test_several_prompts_with_several_answers(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt=["a b", "c"], n=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in answer.choices] == ["a b", "a b", "c", "c"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 6)


async def test_several_prompts_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.completions.create(
        model="echo", prompt=["a b", "c"], n=2, stream=True, stream_options={"include_usage": True}
    )
    texts, reasons = [""] * 4, [""] * 4
    chunks = [chunk async for chunk in stream]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.text
        reasons[choice.index] += choice.finish_reason or ""  # type: ignore[unreachable]  # it is null until the last
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    usage = chunks[-1].usage
    assert (texts, reasons) == (["a b", "a b", "c", "c"], ["stop"] * 4)
    assert usage is not None
    assert usage.total_tokens == 9


async def test_how_likely_it_was(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt="one two", logprobs=1)
    told = answer.choices[0].logprobs
    assert told is not None
    assert (told.tokens, told.text_offset) == (["one", " two"], [0, 3])
    assert told.token_logprobs is not None
    assert all(value < 0 for value in told.token_logprobs)


async def test_where_a_text_ends(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt="one two three", stop=[" three"])
    assert answer.choices[0].text == "one two"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"suffix": "after"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"n": 0}, "n"),
        ({"logprobs": 6}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
async def test_what_cannot_be_done_with_texts_is_refused_by_name(
    client: openai.AsyncOpenAI, changes: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(**{"model": "echo", "prompt": "x", **changes})  # type: ignore[call-overload]  # wrong on purpose
    assert refused.value.param == param


# --- embeddings -----------------------------------------------------------------------------------------------


@pytest.mark.seen("openai (Python)", "embeddings")
async def test_texts_are_embedded(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="echo", input=["one", "two words", "one"])
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert (answer.object, answer.model) == ("list", "echo")
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    first, second, again = (one.embedding for one in answer.data)
    assert first == again != second
    assert len(first) == 64
    assert sum(number * number for number in first) == pytest.approx(1, abs=1e-5)


async def test_numbers_and_base64_are_the_same_vector(client: openai.AsyncOpenAI) -> None:
    # The client asks for base64 by itself, and gives that back undecoded only to who asks for it.
    numbers = (await client.embeddings.create(model="echo", input="x", encoding_format="float")).data[0].embedding
    coded: object = (
        (await client.embeddings.create(model="echo", input="x", encoding_format="base64")).data[0].embedding
    )
    assert isinstance(coded, str)
    assert list(struct.unpack("<64f", base64.b64decode(coded))) == pytest.approx(numbers)
    by_itself = (await client.embeddings.create(model="echo", input="x")).data[0].embedding
    assert by_itself == pytest.approx(numbers)


async def test_shorter_vectors(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="echo", input="x", dimensions=8)
    assert len(answer.data[0].embedding) == 8


async def test_as_many_texts_as_openai_takes(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="echo", input=[f"text {number}" for number in range(2048)])
    assert [one.index for one in answer.data] == list(range(2048))


async def test_a_reply_that_is_too_large_is_refused_and_says_what_to_do(client: openai.AsyncOpenAI) -> None:
    texts = [f"text {number}" for number in range(2048)]
    with pytest.raises(openai.BadRequestError, match="send fewer") as refused:
        await client.embeddings.create(model="echo", input=texts, dimensions=4096)
    assert refused.value.param == "input"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": [1, 2, 3]}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"input": "one two three four five six seven eight nine", "model": "narrow"}, "input"),
        ({"model": PLAIN}, "model"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_by_name(
    client: openai.AsyncOpenAI, changes: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(**{"model": "echo", "input": "x", **changes})  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.param == param
