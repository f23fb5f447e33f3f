"""What the embedded engine answers: streams, whole answers, formats, limits, and refusals."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.integration.inference.conftest import MODEL, Asking, house

from hyperinfer.errors import BadRequest, ContextExceeded, Overloaded, Unsupported

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

HELLO = [{"role": "user", "content": "Say hello."}]


async def test_a_stream_is_openai_s_and_stamped_and_says_nothing_else(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        asking = Asking()
        body = {"messages": HELLO, "max_tokens": 8, "stream": True, "stream_options": {"include_usage": True}}
        stamp = {"completion_id": "chatcmpl-1", "created": 1700000000, "public_model": "public"}
        processed = await running.ask(body, asking.send, **stamp)
    first, *middle, last, usage = asking.chunks
    for chunk in asking.chunks:
        assert chunk.keys() == {"id", "object", "created", "model", "choices", "usage"}
        assert [chunk[name] for name in ("id", "object", "created", "model")] == [
            "chatcmpl-1",
            "chat.completion.chunk",
            1700000000,
            "public",
        ]
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert all(chunk["choices"][0]["delta"].keys() == {"content"} for chunk in middle)
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == processed.finish_reason
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == processed.usage.prompt_tokens > 10
    assert usage["usage"]["completion_tokens"] == processed.usage.completion_tokens >= len(middle)
    assert asking.text
    assert bytes(processed.completion) == b"null"
    assert 0 < processed.first_token_s < processed.duration_s


async def test_a_whole_answer_is_a_completion_and_a_prompt_gets_its_text(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        processed = await running.ask({"messages": HELLO, "max_tokens": 4}, completion_id="x", created=5)
        completion = json.loads(bytes(processed.completion))
        assert completion["object"] == "chat.completion"
        assert (completion["id"], completion["created"], completion["model"]) == ("x", 5, MODEL)
        assert completion["choices"][0]["message"]["role"] == "assistant"
        assert completion["choices"][0]["finish_reason"] == processed.finish_reason == "length"
        assert completion["usage"]["total_tokens"] == processed.usage.total_tokens
        assert processed.usage.completion_tokens == 4
        assert processed.response is None


async def test_the_same_seed_says_the_same_on_one_slot(tmp_path: Path) -> None:
    async with house(tmp_path, slots=1) as running:
        await running.ready()
        await running.say("Tell me a story.", seed=7, max_tokens=24, temperature=1.0)  # fills the prompt's cache
        said = [await running.say("Tell me a story.", seed=7, max_tokens=24, temperature=1.0) for _ in range(2)]
        other = await running.say("Tell me a story.", seed=-8, max_tokens=24, temperature=1.0)
    assert said[0] == said[1]
    assert other


async def test_an_answer_keeps_to_a_schema_streamed_or_whole(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}
    body = {"messages": HELLO, "response_format": wanted, "max_tokens": 200}
    async with house(tmp_path) as running:
        await running.ready()
        asking = Asking()
        await running.ask(body, asking.send)
        whole = await running.say("Say hello.", response_format=wanted, max_tokens=200)
        for text in (asking.text, whole):
            person = json.loads(text)
            assert person.keys() == {"name", "age"}
            assert isinstance(person["age"], int)
        some = await running.say("A list.", response_format={"type": "json_object"}, max_tokens=16)
        assert some.lstrip().startswith("{")
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "wat"}}}
        with pytest.raises(BadRequest) as refused:
            await running.say("Say hello.", response_format=bad)
        assert refused.value.details["param"] == "response_format"


async def test_a_prompt_longer_than_the_context_is_refused_with_the_counts(tmp_path: Path) -> None:
    async with house(tmp_path, context_tokens=256) as running:
        await running.ready()
        with pytest.raises(ContextExceeded) as refused:
            await running.say("word " * 1000)
        assert refused.value.details["context_tokens"] == 256
        assert 1000 < refused.value.details["prompt_tokens"] < 1100
        assert "256" in refused.value.message
        assert await running.say("Say hello.", max_tokens=4)


async def test_what_the_model_cannot_do_is_refused_by_name(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        with pytest.raises(Unsupported) as refused:
            await running.say("Hi.", tools=[{"type": "function", "function": {"name": "f"}}])
        assert refused.value.details["param"] == "tools"


async def test_four_at_once_are_answered_and_the_fifth_waits_its_turn(tmp_path: Path) -> None:
    async with house(tmp_path, slots=4, queue=1) as running:
        await running.ready()
        askings = [Asking() for _ in range(5)]
        body = {"messages": HELLO, "max_tokens": 12, "logit_bias": {"2": -100}}
        async with asyncio.timeout(40), asyncio.TaskGroup() as group:
            tasks = [group.create_task(running.ask(body, asking.send)) for asking in askings]
            await running.until(lambda model: (model.busy, model.queued) == (4, 1))
            with pytest.raises(Overloaded) as refused:
                await running.ask(body)
            assert refused.value.details["retry_after_s"] >= 1
        assert [task.result().finish_reason for task in tasks] == ["length"] * 5
        await running.until(lambda model: (model.busy, model.queued, model.served) == (0, 0, 5))
        text = running.registry.get_sample_value(
            "ai_platform_inference_tokens_total", {"model": MODEL, "kind": "completion"}
        )
        assert text == 60
