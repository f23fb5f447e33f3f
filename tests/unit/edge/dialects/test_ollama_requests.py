"""What the gateway is asked for a request of Ollama's: every field taken, passed over, or refused by its name."""

import base64
import json
from typing import Any

import pytest
from msgspec.json import Decoder

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, EmbeddingRequest
from hyperinfer.edge.dialects import Named, Wanted
from hyperinfer.edge.dialects.ollama.reading import READERS
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import (
    BadRequest,
    ContextExceeded,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unsupported,
)
from hyperinfer.protocol.typed_json import decode

HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None)
USER = {"role": "user", "content": "Hi."}
KINDS: Any = {"chat": ChatRequest, "completion": CompletionRequest, "embedding": EmbeddingRequest}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 30).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"\0" * 30).decode()


def read(path: str, **fields: Any) -> Wanted | Named:
    return READERS[f"/api/{path}"](json.dumps({"model": "m", **fields}).encode(), HEAD)


def asked(path: str, **fields: Any) -> dict[str, Any]:
    """What the gateway is asked, which the workers' contract has to understand."""
    wanted = read(path, **fields)
    assert isinstance(wanted, Wanted)
    decode(Decoder(KINDS[wanted.request.kind]), wanted.request.body)
    body: dict[str, Any] = json.loads(bytes(wanted.request.body))
    assert body.pop("model") == "m"
    return body


def chat(**fields: Any) -> dict[str, Any]:
    return asked("chat", **{"messages": [USER], "stream": False, **fields})


def refused(path: str, **fields: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        read(path, **fields)
    param = caught.value.details["param"]
    assert caught.value.message.startswith(param)
    return str(param)


def test_a_chat() -> None:
    assert chat() == {"messages": [USER]}


@pytest.mark.parametrize("stream", [{}, {"stream": None}, {"stream": True}])
@pytest.mark.parametrize("path", ["chat", "generate"])
def test_streamed_unless_told_otherwise(path: str, stream: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"messages": [USER], "prompt": "Hi.", **stream}
    wanted = read(path, **fields)
    assert isinstance(wanted, Wanted)
    assert wanted.streamed
    assert asked(path, **fields)["stream_options"] == {"include_usage": True}
    whole = read(path, **{**fields, "stream": False})
    assert isinstance(whole, Wanted)
    assert not whole.streamed


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.5}, {"temperature": 0.5}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"top_p": 0.9, "top_k": 40, "min_p": 0.05}, {"top_p": 0.9, "top_k": 40, "min_p": 0.05}),
    ({"seed": 7}, {"seed": 7}),
    ({"num_predict": 5}, {"max_tokens": 5}),
    ({"num_predict": -1}, {}),
    ({"num_predict": -2}, {}),
    ({"num_predict": 0}, {}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    ({"stop": []}, {}),
    ({"presence_penalty": 1.5, "frequency_penalty": -1}, {"presence_penalty": 1.5, "frequency_penalty": -1}),
    ({"repeat_penalty": 1.1}, {"repeat_penalty": 1.1}),
    ({"typical_p": 1.0, "repeat_last_n": 64}, {}),
    ({"num_ctx": 8192, "num_gpu": 1, "num_thread": 4, "use_mmap": True, "mirostat": 0, "unheard_of": {}}, {}),
    ({"temperature": None, "stop": None}, {}),
]


@pytest.mark.parametrize(("options", "fields"), OPTIONS)
def test_options(options: dict[str, Any], fields: dict[str, Any]) -> None:
    assert chat(options=options) == {"messages": [USER], **fields}
    prompt = asked("generate", prompt="One", raw=True, stream=False, options=options)
    longest = {"max_tokens": 2**31 - 1 if "num_predict" in options else 512}
    assert prompt == {"prompt": "One", **longest, **fields}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": "hot"}, "options.temperature"),
        ({"temperature": 2.5}, "options.temperature"),
        ({"top_k": 1.5}, "options.top_k"),
        ({"num_predict": "many"}, "options.num_predict"),
        ({"seed": 10**30}, "options.seed"),
        ({"stop": "END"}, "options.stop"),
        ({"stop": [""]}, "options.stop[0]"),
        ({"typical_p": 0.5}, "options.typical_p"),
        ({"repeat_last_n": -1}, "options.repeat_last_n"),
        ([], "options"),
    ],
)
def test_options_that_make_no_sense(options: Any, param: str) -> None:
    assert refused("chat", messages=[USER], options=options) == param


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 10**30}}}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, None),
        ("", None),
        ("json", {"type": "json_object"}),
        (SCHEMA, {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}),
    ],
)
def test_formats(given: Any, wanted: Any) -> None:
    assert chat(format=given).get("response_format") == wanted
    assert asked("generate", prompt="Hi.", format=given).get("response_format") == wanted


@pytest.mark.parametrize("given", ["yaml", [], 3, True])
def test_formats_that_are_none(given: Any) -> None:
    assert refused("chat", messages=[USER], format=given) == "format"


@pytest.mark.parametrize(
    ("think", "effort"),
    [(None, None), (True, "medium"), (False, "none"), ("low", "low"), ("high", "high"), ("max", "max")],
)
def test_thinking(think: Any, effort: str | None) -> None:
    assert chat(think=think).get("reasoning_effort") == effort
    assert asked("generate", prompt="Hi.", think=think).get("reasoning_effort") == effort


def test_logprobs() -> None:
    assert chat(logprobs=True, top_logprobs=2).items() >= {"logprobs": True, "top_logprobs": 2}.items()
    assert asked("generate", prompt="One", raw=True, logprobs=True, top_logprobs=2)["logprobs"] == 2
    assert asked("generate", prompt="One", raw=True, logprobs=True)["logprobs"] == 0
    assert "logprobs" not in chat(logprobs=False, top_logprobs=0)


def test_messages_of_every_role() -> None:
    called = {"function": {"name": "weather", "arguments": {"city": "Paris", "big": 10**30}}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?", "images": [PNG, JPEG]},
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [called, called]},
        {"role": "tool", "content": "12 degrees", "tool_name": "weather"},
        {"role": "tool", "content": "13 degrees"},
        {"role": "assistant"},
    ]
    [system, user, assistant, first, second, last] = chat(messages=messages)["messages"]
    assert system == messages[0]
    [text, png, jpeg] = user["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert png == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert jpeg["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert (assistant["content"], assistant["reasoning_content"]) == ("", "Hm.")
    calls = assistant["tool_calls"]
    assert [call["id"] for call in calls] == ["call_1", "call_2"]
    assert {call["type"] for call in calls} == {"function"}
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Paris", "big": 10**30}
    assert first == {"role": "tool", "content": "12 degrees", "tool_call_id": "call_1", "name": "weather"}
    assert second == {"role": "tool", "content": "13 degrees", "tool_call_id": "call_2"}
    assert last == {"role": "assistant", "content": ""}


def test_a_tools_answer_finds_its_call() -> None:
    def call(name: str, **more: str) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {}}, **more}

    messages = [
        {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a", id="mine")]},
        {"role": "tool", "content": "", "tool_name": "b"},
        {"role": "tool", "content": "", "tool_call_id": "mine"},
        {"role": "tool", "content": "", "tool_name": "a"},
        {"role": "tool", "content": "", "tool_name": "a"},
        {"role": "tool", "content": ""},
    ]
    found = [message["tool_call_id"] for message in chat(messages=messages)["messages"][1:]]
    assert found == ["call_2", "mine", "call_1", "call_a", "call_unknown"]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "wizard", "content": "x"}, "messages[0].role"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": "user", "content": []}, "messages[0].content"),
        ({**USER, "images": "x"}, "messages[0].images"),
        ({**USER, "images": [PNG, "R0lGODk"]}, "messages[0].images[1]"),
        ({**USER, "images": [f"data:image/png;base64,{PNG}"]}, "messages[0].images[0]"),
        ({**USER, "images": ["http://a/b.png"]}, "messages[0].images[0]"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "messages[0].tool_calls[0].function.name"),
    ],
)
def test_messages_that_make_no_sense(message: dict[str, Any], param: str) -> None:
    assert refused("chat", messages=[message]) == param


def test_tools() -> None:
    function = {"name": "f", "description": "Does.", "parameters": SCHEMA}
    tools = [{"type": "function", "function": function}, {"function": {"name": "g", "parameters": None}}]
    assert chat(tools=tools)["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "g"}},
    ]
    assert "tools" not in chat(tools=[])
    assert (
        refused("chat", messages=[USER], tools=[{"type": "web_search", "function": {"name": "g"}}]) == "tools[0].type"
    )


def test_a_prompt_is_a_chat() -> None:
    assert asked("generate", prompt="Hi.", system="Be brief.", images=[PNG], stream=False) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hi."},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            },
        ]
    }


def test_a_prompt_that_is_written_out_and_one_with_a_gap() -> None:
    raw = read("generate", prompt="One", raw=True, context=[], template="", system="", images=[], format="")
    assert isinstance(raw, Wanted)
    assert raw.request.kind == "completion"
    gap = asked("generate", prompt="def f(", suffix="return 1", options={"num_predict": 9}, stream=False)
    assert gap == {"prompt": "def f(", "suffix": "return 1", "max_tokens": 9}


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "{{ .Prompt }}"},
        {"context": [1, 2]},
        {"width": 512},
        {"raw": True, "system": "Be brief."},
        {"raw": True, "images": [PNG]},
        {"raw": True, "format": "json"},
        {"suffix": "x", "think": True},
    ],
)
def test_what_no_prompt_can_have_is_refused_by_name(fields: dict[str, Any]) -> None:
    *_, name = fields
    with pytest.raises(Unsupported) as caught:
        read("generate", prompt="Hi.", **fields)
    assert caught.value.details["param"] == name


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("chat", {}),
        ("chat", {"messages": []}),
        ("chat", {"keep_alive": "5m"}),
        ("chat", {"keep_alive": -1}),
        ("generate", {}),
        ("generate", {"prompt": "", "keep_alive": 300, "stream": True}),
    ],
)
def test_nothing_to_answer_loads_the_model(path: str, fields: dict[str, Any]) -> None:
    wanted = read(path, **fields)
    assert isinstance(wanted, Wanted)
    assert not wanted.streamed
    assert asked(path, **fields) == {"messages": [{"role": "user", "content": "."}], "max_tokens": 1}


@pytest.mark.parametrize("keep_alive", [f"{'0' * 100_000}x", f"{'0s' * 50_000}x", f"{'0.0' * 30_000}!"])
@pytest.mark.timeout(5)
def test_a_long_time_that_is_none_is_told_at_once(keep_alive: str) -> None:
    assert isinstance(read("chat", keep_alive=keep_alive), Wanted)


@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "0m", "-0h", "0h0m0s", "0.0s"])
@pytest.mark.parametrize("path", ["chat", "generate"])
def test_a_model_that_is_given_up_only_has_to_be_there(path: str, keep_alive: Any) -> None:
    named = read(path, keep_alive=keep_alive)
    assert isinstance(named, Named)
    assert named.model == "m"
    body = json.loads(named.body)
    assert (body["done"], body["done_reason"]) == (True, "unload")
    assert isinstance(read(path, keep_alive=keep_alive, messages=[USER], prompt="Hi."), Wanted)


def test_embeddings() -> None:
    assert asked("embed", input="a") == {"input": ["a"]}
    assert asked("embed", input=["a", "b"], dimensions=8, truncate=True) == {"input": ["a", "b"], "dimensions": 8}
    assert asked("embeddings", prompt="a") == {"input": ["a"]}
    for path in ("embed", "embeddings"):
        assert asked(path) == {"input": ["."]}
    assert refused("embed", input=[1, 2]) == "input[0]"


@pytest.mark.parametrize("path", ["chat", "generate", "embed", "embeddings"])
def test_a_model_must_be_named(path: str) -> None:
    for model in ("", None):
        with pytest.raises(BadRequest):
            read(path, model=model)
    with pytest.raises(BadRequest, match=r"^model is required$"):
        READERS[f"/api/{path}"](b"{}", HEAD)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'{"model":' + b"[" * 100_000])
@pytest.mark.parametrize("path", list(READERS))
def test_what_is_no_request(path: str, body: bytes) -> None:
    with pytest.raises(BadRequest):
        READERS[path](body, HEAD)


# --- what the gateway refuses --------------------------------------------------------------------------------


def said(error: HyperinferError, path: str = "chat", **fields: Any) -> HyperinferError:
    """An error of the gateway's as it is told to a client."""
    again = read(path, **{"messages": [USER], "prompt": "Hi.", "input": "a", **fields}).reworded(error)
    assert type(again) is type(error)
    return again


@pytest.mark.parametrize(
    ("param", "ours"),
    [
        ("temperature", "options.temperature"),
        ("max_tokens", "options.num_predict"),
        ("stop[3]", "options.stop[3]"),
        ("response_format", "format"),
        ("response_format.json_schema.schema", "format"),
        ("messages[2].content[1]", "messages[2].images[0]"),
        ("messages[2].content[3].image_url.url", "messages[2].images[2]"),
        ("messages[2].content", "messages[2].content"),
        ("tools[0].function.name", "tools[0].function.name"),
    ],
)
def test_errors_name_fields_as_they_are_called_here(param: str, ours: str) -> None:
    error = said(BadRequest(f"{param} is wrong.", param=param))
    assert (error.message, error.details["param"]) == (f"{ours} is wrong.", ours)


def test_an_image_of_a_prompt_is_named_as_it_is_there() -> None:
    error = said(Unsupported("messages[1].content[2]: Text only.", param="messages[1].content[2]"), "generate")
    assert error.message == "images[1]: Text only."


@pytest.mark.parametrize(
    ("path", "param", "words"),
    [
        ("chat", "tools", '"m" does not support tools'),
        ("chat", "reasoning_effort", '"m" does not support thinking'),
        ("chat", "model", '"m" does not support chat'),
        ("embed", "model", '"m" does not support embeddings'),
    ],
)
def test_what_a_model_cannot_do_is_said_in_ollamas_words(path: str, param: str, words: str) -> None:
    assert said(Unsupported(f"{param}: It cannot.", param=param), path).message == f"{words}: It cannot."


def test_a_gap_that_no_model_fills_is_called_an_insert() -> None:
    error = said(Unsupported("suffix: It cannot.", param="suffix"), "generate", suffix="x")
    assert error.message == '"m" does not support insert: It cannot.'
    error = said(Unsupported("model: It cannot.", param="model"), "generate", suffix="x")
    assert error.message == '"m" does not support generate: It cannot.'


def test_a_missing_model_and_a_prompt_that_is_too_long() -> None:
    assert said(ModelNotFound("There is: a.", model="m")).message == "model 'm' not found: There is: a."
    given = read("chat", keep_alive=0)
    assert given.reworded(ModelNotFound("None.", model="m")).message == "model 'm' not found: None."
    long = said(ContextExceeded("Too long.", param="messages", prompt_tokens=9, context_tokens=8))
    assert long.message == "request (9 tokens) exceeds the available context size (8 tokens). Too long."
    assert said(ContextExceeded("Too long.")).message == "the input exceeds the context length. Too long."
    assert said(Overloaded("Full.", retry_after_s=1)).message == "Full."
