"""Prompts, texts to go on with, embeddings, and what only loads a model, with the official client."""

import ollama
import pytest

from .conftest import TEXT


@pytest.mark.parametrize("raw", [False, True])
async def test_a_prompt(client: ollama.AsyncClient, raw: bool) -> None:
    whole = await client.generate("echo", TEXT, raw=raw)
    assert (whole.response, whole.done, whole.done_reason) == (TEXT, True, "stop")
    assert (whole.prompt_eval_count, whole.eval_count, whole.context) == (3, 3, None)
    lines = [line async for line in await client.generate("echo", TEXT, raw=raw, stream=True)]
    assert "".join(line.response or "" for line in lines) == TEXT
    assert (lines[-1].done, lines[-1].eval_count) == (True, 3)


async def test_what_goes_with_a_prompt(client: ollama.AsyncClient) -> None:
    answer = await client.generate("thinker", TEXT, system="Be brief.", think=True, options={"num_predict": 50})
    assert answer.response == TEXT
    assert answer.thinking


async def test_loading_and_giving_up(client: ollama.AsyncClient) -> None:
    loaded = await client.generate("echo")
    assert (loaded.response, loaded.done, loaded.done_reason) == ("", True, "load")
    [line] = [line async for line in await client.chat("echo", [], stream=True)]
    assert (line.message.content, line.done_reason) == ("", "load")
    given_up = await client.generate("echo", keep_alive=0)
    assert (given_up.response, given_up.done_reason) == ("", "unload")


@pytest.mark.seen("ollama (Python)", "embeddings")
async def test_embeddings(client: ollama.AsyncClient) -> None:
    two = await client.embed("echo", ["one text", "another"], dimensions=8)
    assert [len(vector) for vector in two.embeddings] == [8, 8]
    assert two.prompt_eval_count == 3
    [one] = (await client.embed("echo", "one text", dimensions=8)).embeddings
    assert list(one) == list(two.embeddings[0])
    older = await client.embeddings("echo", "one text")
    assert len(older.embedding) == 64
    assert (await client.embed("echo", [])).embeddings == []
    assert (await client.embeddings("echo")).embedding == []
