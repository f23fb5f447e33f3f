"""Only what is meant for it reaches the engine."""

import json
from typing import Any

import pytest

from hyperinfer.contracts.openai import (
    CalledFunction,
    ChatRequest,
    CompletionRequest,
    Function,
    FunctionChoice,
    FunctionTool,
    ImagePart,
    ImageUrl,
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    Message,
    NamedTool,
    RefusalPart,
    TextFormat,
    TextPart,
    ToolCall,
)
from hyperinfer.errors import BadRequest, ContextExceeded, Unavailable, Unsupported
from hyperinfer.workers.inference.backends.llamacpp.wire import chats, said, texts

ALWAYS = {"stream": True, "return_progress": True, "cache_prompt": True}
CHAT = {**ALWAYS, "stream_options": {"include_usage": True}}
HI = Message(role="user", content="Hi.")
TOOL = FunctionTool(Function(name="f", parameters={"type": "object", "properties": {}}))
OTHER = FunctionTool(Function(name="g"))
JSON = JsonObjectFormat()


def sent(request: ChatRequest, so_far: str = "") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(chats.encode(request, so_far))
    return body


def text_sent(request: CompletionRequest, so_far: str = "") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(texts.encode(request, so_far))
    return body


def test_a_plain_request() -> None:
    assert sent(ChatRequest(messages=(HI,), n=1, stream=False, user="u")) == {
        "messages": [{"role": "user", "content": "Hi."}],
        **CHAT,
    }


def test_everything_set() -> None:
    body = sent(
        ChatRequest(
            messages=(Message(role="developer", content=(TextPart("a"), TextPart("b"))), HI),
            max_tokens=3,
            temperature=0.0,
            top_p=0.5,
            top_k=7,
            min_p=0.1,
            repeat_penalty=1.1,
            frequency_penalty=1.0,
            presence_penalty=-1.0,
            stop="x",
            seed=2**32 - 1,
            logit_bias={"5": -100.0},
            response_format=JsonObjectFormat(),
            logprobs=True,
            top_logprobs=2,
            reasoning_effort="low",
        )
    )
    assert body == {
        "messages": [{"role": "system", "content": "ab"}, {"role": "user", "content": "Hi."}],
        **CHAT,
        "max_tokens": 3,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 7,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "frequency_penalty": 1.0,
        "presence_penalty": -1.0,
        "stop": ["x"],
        "seed": 0,
        "logit_bias": {"5": -100.0},
        "response_format": {"type": "json_object"},
        "logprobs": True,
        "top_logprobs": 2,
        "chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"},
    }


def test_a_negative_seed_is_a_seed_too() -> None:
    seed = sent(ChatRequest(messages=(HI,), seed=-1))["seed"]
    assert isinstance(seed, int)
    assert 0 <= seed < 2**32 - 1


def test_formats() -> None:
    assert "response_format" not in sent(ChatRequest(messages=(HI,), response_format=TextFormat()))
    schema = JsonSchemaFormat(json_schema=JsonSchema(name="x", schema={"type": "object"}))
    assert sent(ChatRequest(messages=(HI,), response_format=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}},
    }


def test_tools_and_what_they_said() -> None:
    called = Message(role="assistant", tool_calls=(ToolCall(id="1", function=CalledFunction("f", "{}")),))
    body = sent(
        ChatRequest(
            messages=(HI, called, Message(role="tool", content="done", tool_call_id="1")),
            tools=(TOOL,),
            tool_choice="auto",
            parallel_tool_calls=False,
        )
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "done", "tool_call_id": "1"},
    ]
    assert body["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", False)


def test_tools_and_a_format_go_together_only_where_no_tool_is_called() -> None:
    with pytest.raises(Unsupported) as refused:
        sent(ChatRequest(messages=(HI,), tools=(TOOL,), response_format=JSON))
    assert refused.value.details["param"] == "response_format"
    body = sent(ChatRequest(messages=(HI,), tools=(TOOL,), tool_choice="none", response_format=JSON))
    assert body["response_format"] == {"type": "json_object"}
    assert "tools" not in body


def test_which_tools_have_to_be_called() -> None:
    def of(**fields: Any) -> tuple[FunctionTool, ...]:
        return chats.forced(ChatRequest(messages=(HI,), tools=(TOOL, OTHER), **fields))

    assert of() == of(tool_choice="auto") == of(tool_choice="none") == ()
    assert of(tool_choice="required") == (TOOL, OTHER)
    assert of(tool_choice=NamedTool(FunctionChoice("g"))) == (OTHER,)


def test_parts_reach_the_engine_only_where_there_is_an_image() -> None:
    image = ImagePart(ImageUrl("data:image/png;base64,AAAA"))
    parts = (TextPart("What"), RefusalPart("no"), image)
    body = sent(ChatRequest(messages=(Message(role="user", content=parts),)))
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "text", "image_url"]


def test_an_answer_is_gone_on_with_by_name() -> None:
    body = sent(ChatRequest(messages=(HI,)), "So ")
    assert body["messages"][-1] == {"role": "assistant", "content": "So "}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_a_text() -> None:
    assert text_sent(CompletionRequest(prompt="Once"), " upon") == {**ALWAYS, "prompt": "Once upon", "n_predict": 16}
    body = text_sent(CompletionRequest(prompt=(1, 2), max_tokens=3, logprobs=0, stop=("x",), seed=-1))
    assert body == {**ALWAYS, "prompt": [1, 2], "n_predict": 3, "n_probs": 1, "stop": ["x"], "seed": 2**32 - 2}


def test_a_text_to_be_filled_in() -> None:
    assert text_sent(CompletionRequest(prompt="a", suffix="b")) == {
        **ALWAYS,
        "input_prefix": "a",
        "input_suffix": "b",
        "n_predict": 16,
    }
    with pytest.raises(Unsupported):
        text_sent(CompletionRequest(prompt=(1,), suffix="b"))


def test_what_is_too_long_is_told_with_its_counts() -> None:
    body = b'{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":5}}'
    for param, words in (("messages", "The messages have 9"), ("prompt", "The prompt has 9")):
        refused = said.refusal(400, body, param)
        assert isinstance(refused, ContextExceeded)
        assert words in refused.message
        assert refused.details == {"param": param, "prompt_tokens": 9, "context_tokens": 5}


def test_other_refusals() -> None:
    bad = said.refusal(400, b'{"error":{"message":"JSON schema conversion failed"}}', "messages")
    assert isinstance(bad, BadRequest)
    assert bad.details["param"] == "response_format"
    assert isinstance(said.refusal(501, b'{"error":{}}', "suffix"), Unsupported)
    assert isinstance(said.refusal(503, b'{"error":{}}', "messages"), Unavailable)
