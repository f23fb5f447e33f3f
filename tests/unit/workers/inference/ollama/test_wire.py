"""What Ollama is asked, for every field of a request of OpenAI's."""

import json
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.contracts.openai import EmbeddingRequest
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.workers.inference import requests
from hyperinfer.workers.inference.backends import Job
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings
from hyperinfer.workers.inference.backends.ollama.wire import Wire

MODEL = "smollm2:135m"
HELLO = [{"role": "user", "content": "Hello"}]
PLAIN = OllamaSettings()


def job(kind: Any, body: dict[str, Any], so_far: str = "") -> Job[Any]:
    text = json.dumps(body).encode()
    read = requests.read(ProcessRequest(body=msgspec.Raw(text)), kind)
    return Job(MODEL, read.asked, text, so_far)


def chat(settings: OllamaSettings = PLAIN, so_far: str = "", **fields: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(Wire(settings).chat(job("chat", {"messages": HELLO} | fields, so_far)))
    return written


def text(settings: OllamaSettings = PLAIN, so_far: str = "", **fields: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(Wire(settings).text(job("completion", {"prompt": "Once"} | fields, so_far)))
    return written


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = chat(messages=list(messages))["messages"]
    return written


# --- chats -----------------------------------------------------------------------------------------------


def test_a_plain_chat_is_streamed_and_never_cut() -> None:
    assert chat() == {
        "model": MODEL,
        "messages": HELLO,
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {},
    }


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"top_k": 7, "min_p": 0.1}, {"top_k": 7, "min_p": 0.1}),
        ({"repeat_penalty": 1.1}, {"repeat_penalty": 1.1}),
        ({"max_tokens": 7}, {"num_predict": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 8}, {"num_predict": 8}),
        ({"frequency_penalty": 1.5}, {"frequency_penalty": 1.5}),
        ({"presence_penalty": -1}, {"presence_penalty": -1}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"seed": 42}, {"seed": 42}),
        ({"seed": -1}, {"seed": 2**32 - 2}),
        ({"seed": 2**40}, {"seed": 256}),
    ],
)
def test_sampling_becomes_options(given: dict[str, Any], option: dict[str, Any]) -> None:
    assert chat(**given)["options"] == option


@pytest.mark.parametrize("field", ["user", "service_tier", "metadata", "unknown_to_us"])
def test_what_is_not_for_the_model_stays_behind(field: str) -> None:
    fields: dict[str, Any] = {field: "auto"}
    assert chat(**fields) == chat()


def test_the_operators_options_are_there_unless_the_request_says_otherwise() -> None:
    settings = OllamaSettings(
        options={"num_gpu": 20, "temperature": 0.1, "num_ctx": 1}, context_tokens=4096, keep_alive="10m"
    )
    asked = chat(settings, temperature=0.9)
    assert asked["options"] == {"num_gpu": 20, "temperature": 0.9, "num_ctx": 4096}
    assert asked["keep_alive"] == "10m"


@pytest.mark.parametrize(("written", "sent"), [("-1", -1), ("300", 300), ("1h30m", "1h30m"), ("-1m", "-1m")])
def test_how_long_a_model_stays_is_written_as_ollama_reads_it(written: str, sent: object) -> None:
    assert chat(OllamaSettings(keep_alive=written))["keep_alive"] == sent


def test_a_context_that_may_shift_is_asked_for_by_saying_nothing() -> None:
    assert "shift" not in chat(OllamaSettings(context_shift=True))


def test_roles_parts_and_images() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]
    image = {"type": "image_url", "image_url": {"url": url}}
    assert said(
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [*parts, image, image]},
        {"role": "assistant", "content": "A cat.", "reasoning_content": "It has ears."},
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What is this?", "images": ["iVBORw0KGgo=", "iVBORw0KGgo="]},
        {"role": "assistant", "content": "A cat.", "thinking": "It has ears."},
    ]


def test_calls_of_tools_and_what_they_said() -> None:
    function = {"name": "weather", "arguments": '{"city": "Paris", "days": [1, 2]}'}
    other = {"name": "time", "arguments": ""}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    calls.append({"id": "call_2", "type": "function", "function": other})
    assert said(
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
        {"role": "tool", "tool_call_id": "elsewhere", "name": "news", "content": "none"},
    )[1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call_1",
                    "function": {"name": "weather", "arguments": {"city": "Paris", "days": [1, 2]}, "index": 0},
                },
                {"id": "call_2", "function": {"name": "time", "arguments": {}, "index": 1}},
            ],
        },
        {"role": "tool", "content": "noon", "tool_name": "time", "tool_call_id": "call_2"},
        {"role": "tool", "content": "none", "tool_name": "news", "tool_call_id": "elsewhere"},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", "7", '"text"'])
def test_arguments_that_are_no_object_are_refused_by_name(arguments: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    with pytest.raises(BadRequest) as caught:
        said(*HELLO, {"role": "assistant", "tool_calls": [call]})
    assert caught.value.details["param"] == "messages[1].tool_calls[0].function.arguments"


def test_tools_are_given_with_an_object_of_parameters() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    full = {"name": "weather", "description": "Tells it.", "parameters": parameters, "strict": True}
    tools = [{"type": "function", "function": full}, {"type": "function", "function": {"name": "time"}}]
    assert chat(tools=tools, tool_choice="auto")["tools"] == [
        {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": parameters}},
        {
            "type": "function",
            "function": {"name": "time", "description": "", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert "tools" not in chat(tools=tools, tool_choice="none")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "time"}}])
def test_a_tool_that_has_to_be_called_is_refused_by_name(choice: object) -> None:
    with pytest.raises(Unsupported, match="tool_choice") as caught:
        chat(tools=[{"type": "function", "function": {"name": "time"}}], tool_choice=choice)
    assert caught.value.details == {"param": "tool_choice"}


def test_formats() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    assert chat(response_format=wanted)["format"] == schema
    assert chat(response_format={"type": "json_object"})["format"] == "json"
    assert "format" not in chat(response_format={"type": "text"})


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "max")],
)
def test_how_long_to_think(effort: str, think: object) -> None:
    assert chat(reasoning_effort=effort)["think"] == think


def test_an_effort_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadRequest, match="reasoning_effort"):
        chat(reasoning_effort="heroic")


def test_logprobs() -> None:
    assert chat(logprobs=True)["logprobs"] is True
    assert chat(logprobs=True, top_logprobs=3)["top_logprobs"] == 3
    assert "logprobs" not in chat(logprobs=False)


def test_an_answer_is_gone_on_with_from_the_assistants_last_message() -> None:
    assert chat(so_far="The answer")["messages"] == [*HELLO, {"role": "assistant", "content": "The answer"}]


# --- texts and vectors -----------------------------------------------------------------------------------


def test_a_text_is_given_as_it_is() -> None:
    assert text(max_tokens=4, temperature=0) == {
        "model": MODEL,
        "prompt": "Once",
        "stream": True,
        "truncate": False,
        "raw": True,
        "shift": False,
        "think": False,
        "options": {"num_predict": 4, "temperature": 0},
    }


def test_a_text_has_openais_length_if_none_is_given() -> None:
    assert text()["options"] == {"num_predict": 16}


def test_what_comes_behind_a_text_goes_through_the_models_template() -> None:
    asked = text(suffix=" end")
    assert (asked["suffix"], asked["raw"]) == (" end", False)


def test_logprobs_of_texts() -> None:
    assert text(logprobs=2)["top_logprobs"] == 2
    assert text(logprobs=0)["logprobs"] is True


def test_a_text_is_gone_on_with_from_its_end() -> None:
    assert text(so_far=" upon")["prompt"] == "Once upon"


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(BadRequest, match="empty"):
        text(prompt="")


def test_vectors_are_of_whole_texts() -> None:
    wire = Wire(OllamaSettings(context_tokens=512))
    asked = json.loads(wire.vectors(MODEL, ["a", "b"], EmbeddingRequest(input="", dimensions=64)))
    assert asked == {
        "model": MODEL,
        "input": ["a", "b"],
        "truncate": False,
        "dimensions": 64,
        "options": {"num_ctx": 512},
    }


def test_loading_has_what_requests_have_and_unloading_keeps_nothing() -> None:
    wire = Wire(OllamaSettings(context_tokens=512, keep_alive="-1"))
    common = {"model": MODEL, "options": {"num_ctx": 512}, "shift": False, "stream": False}
    assert json.loads(wire.load(MODEL)) == common | {"keep_alive": -1}
    assert json.loads(wire.unload(MODEL)) == common | {"keep_alive": 0}
    assert json.loads(wire.load_embedder(MODEL))["input"] == []
