"""Everything that a request to the real engine may ask for: tools, logprobs, going on, texts, tokens, filling in."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.inference.conftest import MODEL, Asking, House, house, shelve

from hyperinfer.contracts.inference import Continued
from hyperinfer.errors import BadRequest, ContextExceeded, Unsupported
from hyperinfer.testing.gguf import with_entries
from hyperinfer.workers.inference.backends.llamacpp import weights

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

TEMPLATE = Path(__file__).parent / "hermes.jinja"
STORY = [{"role": "user", "content": "Tell me a story about a fox."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 12},
                "days": {"type": "integer", "maximum": 9, "minimum": 1},
                "unit": {"$ref": "#/$defs/unit"},
            },
            "required": ["city", "days", "unit"],
            "$defs": {"unit": {"enum": ["C", "F"]}},
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}
ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]


async def whole(running: House, body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode((await running.ask(body, **fields)).completion)
    return answer


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
@pytest.mark.parametrize("tools", [[WEATHER], [WEATHER, TIME]])
async def test_a_tool_that_has_to_be_called_is_called_as_it_is_declared(
    tmp_path: Path, choice: Any, tools: list[Any]
) -> None:
    body = {"messages": ASKED, "tools": tools, "tool_choice": choice, "max_tokens": 120, "temperature": 0}
    async with house(tmp_path, chat_template_file=str(TEMPLATE)) as running:
        await running.ready()
        asking = Asking()
        processed = await running.ask(body, asking.send)
        answer = (await whole(running, body))["choices"][0]
    assert processed.finish_reason == answer["finish_reason"] == "tool_calls"
    [call] = answer["message"]["tool_calls"]
    assert answer["message"]["content"] is None
    assert call["id"]
    assert call["function"]["name"] in [tool["function"]["name"] for tool in tools]
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "get_weather":
        assert arguments.keys() == {"city", "days", "unit"}
        assert isinstance(arguments["days"], int)
        assert arguments["unit"] in ("C", "F")
    else:
        assert arguments == {}
    assert asking.text == ""
    deltas = [
        delta
        for chunk in asking.chunks
        for choice in chunk["choices"]
        for delta in choice["delta"].get("tool_calls", ())
    ]
    assert deltas[0]["type"] == "function"
    assert deltas[0]["function"]["name"] == call["function"]["name"]
    assert all("id" not in delta for delta in deltas[1:])
    streamed = "".join(delta["function"]["arguments"] for delta in deltas)
    assert json.loads(streamed) == arguments


async def test_a_tool_that_the_model_chooses_to_call_is_a_call(tmp_path: Path) -> None:
    """A model this small only repeats what it has been shown, so it is shown calls, as text."""
    shown = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
    before = [{"role": "user", "content": "Time?"}, {"role": "assistant", "content": shown}]
    body = {"messages": [*before * 5, before[0]], "tools": [TIME], "max_tokens": 60, "temperature": 0}
    async with house(tmp_path, chat_template_file=str(TEMPLATE), context_tokens=1024) as running:
        await running.ready()
        asking = Asking()
        processed = await running.ask(body, asking.send)
        answer = (await whole(running, body))["choices"][0]
    assert processed.finish_reason == answer["finish_reason"] == "tool_calls"
    [call] = answer["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("get_time", {})
    assert asking.text == ""
    assert asking.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_tools_are_offered_and_what_they_said_is_read(tmp_path: Path) -> None:
    called = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}
    messages = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
    ]
    async with house(tmp_path, chat_template_file=str(TEMPLATE)) as running:
        await running.ready()
        assert "tools" in running.service.status().models[0].capabilities
        bare = await whole(running, {"messages": ASKED, "max_tokens": 1})
        offered = await whole(running, {"messages": ASKED, "tools": [WEATHER], "max_tokens": 1})
        answered = await whole(running, {"messages": messages, "tools": [WEATHER], "max_tokens": 1})
        form = {"type": "json_object"}
        with pytest.raises(Unsupported) as refused:
            await whole(running, {"messages": ASKED, "tools": [WEATHER], "response_format": form})
        assert refused.value.details["param"] == "response_format"
    counts = [answer["usage"]["prompt_tokens"] for answer in (bare, offered, answered)]
    assert counts[0] + 80 < counts[1] < counts[2] - 20


async def test_an_answer_that_was_cut_is_gone_on_with_as_if_it_had_not_been(tmp_path: Path) -> None:
    body = {"messages": STORY, "max_tokens": 40, "temperature": 0}
    async with house(tmp_path, slots=1) as running:
        await running.ready()
        uncut = await whole(running, body)
        text = uncut["choices"][0]["message"]["content"]
        words = text.split(" ")
        for at in (1, len(words) // 2, len(words) - 2):
            so_far = " ".join(words[:at])
            asking = Asking()
            said = await (await running.backend.hosted().client()).count(so_far)
            processed = await running.ask(body, asking.send, continues=Continued(text=so_far, tokens=said))
            assert so_far + asking.text == text
            assert processed.usage.prompt_tokens == uncut["usage"]["prompt_tokens"]
            assert processed.usage.completion_tokens == uncut["usage"]["completion_tokens"]
            assert processed.finish_reason == "length"


async def test_a_text_that_was_cut_is_gone_on_with_too(tmp_path: Path) -> None:
    body = {"prompt": "Once upon a time there was", "max_tokens": 24, "temperature": 0}
    async with house(tmp_path, slots=1) as running:
        await running.ready()
        uncut = await whole(running, body, kind="completion")
        text = uncut["choices"][0]["text"]
        so_far = " ".join(text.split(" ")[:8])
        said = await (await running.backend.hosted().client()).count(so_far)
        rest = await running.ask(body, kind="completion", continues=Continued(text=so_far, tokens=said))
    assert so_far + msgspec.json.decode(rest.completion)["choices"][0]["text"] == text
    assert rest.usage.prompt_tokens == uncut["usage"]["prompt_tokens"]


async def test_logprobs_tell_of_every_token(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        chat = await whole(
            running, {"messages": STORY, "max_tokens": 5, "logprobs": True, "top_logprobs": 3, "temperature": 0}
        )
        text = await whole(
            running, {"prompt": "Once upon a", "max_tokens": 5, "logprobs": 2, "temperature": 0}, kind="completion"
        )
    tokens = chat["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == chat["choices"][0]["message"]["content"]
    assert all(len(token["top_logprobs"]) == 3 and token["logprob"] <= 0 for token in tokens)
    logprobs = text["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == text["choices"][0]["text"]
    assert len(logprobs["token_logprobs"]) == len(logprobs["top_logprobs"]) == len(logprobs["text_offset"]) == 5


async def test_biases_stops_and_several_answers(tmp_path: Path) -> None:
    async with house(tmp_path) as running:
        await running.ready()
        client = await running.backend.hosted().client()
        only = await client._read("/tokenize", b'{"content":" fox"}', msgspec.json.Decoder(dict[str, list[int]]), "")
        bias = {str(only["tokens"][0]): 100}
        biased = await whole(running, {"messages": STORY, "max_tokens": 3, "logit_bias": bias, "temperature": 0})
        assert biased["choices"][0]["message"]["content"].count("fox") == 3
        stopped = await whole(
            running,
            {"prompt": "One, two, three, four,", "max_tokens": 24, "stop": ["eight"], "temperature": 0},
            kind="completion",
        )
        assert "eight" not in stopped["choices"][0]["text"]
        several = await whole(running, {"messages": STORY, "max_tokens": 6, "n": 3, "seed": 5, "temperature": 1.5})
        assert [choice["index"] for choice in several["choices"]] == [0, 1, 2]
        assert len({choice["message"]["content"] for choice in several["choices"]}) > 1
        assert several["usage"]["completion_tokens"] <= 18


async def test_texts_and_tokens_are_gone_on_with(tmp_path: Path) -> None:
    async with house(tmp_path, slots=1, context_tokens=256) as running:
        await running.ready()
        body = {"prompt": "Once upon a time", "max_tokens": 6, "temperature": 0}
        text = await whole(running, body, kind="completion")
        assert (text["object"], text["model"]) == ("text_completion", MODEL)
        assert text["choices"][0]["finish_reason"] == "length"
        numbers = await whole(running, body | {"prompt": [6403, 1980, 253, 655]}, kind="completion")
        assert numbers["choices"][0]["text"] == text["choices"][0]["text"]
        asking = Asking()
        await running.ask(body, asking.send, kind="completion")
        streamed = [choice["text"] for chunk in asking.chunks for choice in chunk["choices"]]
        assert "".join(streamed) == text["choices"][0]["text"]
        with pytest.raises(BadRequest):
            await whole(running, body | {"prompt": [99_999_999]}, kind="completion")
        with pytest.raises(ContextExceeded) as refused:
            await whole(running, body | {"prompt": "word " * 500}, kind="completion")
        assert refused.value.details["param"] == "prompt"
        with pytest.raises(Unsupported) as cannot:
            await whole(running, body | {"suffix": "The end."}, kind="completion")
        assert cannot.value.details["param"] == "suffix"


async def test_a_model_that_can_fills_in_before_a_suffix(tmp_path: Path) -> None:
    path = tmp_path / "fills-in.gguf"
    names = ("pre", "suf", "mid")
    tokens = {f"tokenizer.ggml.fim_{name}_token_id": 4 + number for number, name in enumerate(names)}
    with_entries(weights.path(weights.SMOLLM2), path, tokens)
    async with house(tmp_path, model_path=str(path)) as running:
        assert "suffix" in running.service.status().models[0].capabilities
        await running.ready()
        assert "suffix" in running.service.status().models[0].capabilities
        body = {"prompt": "def add(a, b):", "suffix": "\n\nprint(add(1, 2))", "max_tokens": 4, "logprobs": 1}
        answer = await whole(running, body, kind="completion")
    assert answer["usage"]["completion_tokens"] <= 4
    assert answer["usage"]["prompt_tokens"] > 10
    assert answer["choices"][0]["logprobs"]


async def test_what_is_cached_of_a_prompt_is_told(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 200}], "max_tokens": 1}
    async with house(tmp_path) as running:
        await running.ready()
        first = await whole(running, body)
        second = await whole(running, body)
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] > 190


async def test_a_template_beside_a_model_is_used(tmp_path: Path) -> None:
    models = shelve(tmp_path / "given", "plain", "with-tools")
    (models / "with-tools.jinja").symlink_to(TEMPLATE)
    async with house(tmp_path, model_path=str(models)) as running:
        capabilities = {model.name: model.capabilities for model in running.service.status().models}
        assert "tools" in capabilities["with-tools"]
        assert "tools" not in capabilities["plain"]
        body = {"messages": ASKED, "tools": [TIME], "tool_choice": "required", "max_tokens": 60}
        answer = await whole(running, body, model="with-tools")
        assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_time"
        with pytest.raises(Unsupported):
            await whole(running, body, model="plain")
