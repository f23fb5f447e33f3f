"""Only what is meant for it reaches the engine."""

import json

from hyperinfer.contracts.openai import (
    ChatRequest,
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    Message,
    TextFormat,
    TextPart,
)
from hyperinfer.workers.inference.backends.llamacpp import wire

ALWAYS = {"stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
HI = Message(role="user", content="Hi.")


def sent(request: ChatRequest) -> dict[str, object]:
    body: dict[str, object] = json.loads(wire.encode(request))
    return body


def test_a_plain_request() -> None:
    assert sent(ChatRequest(messages=(HI,), n=1, stream=False, user="u")) == {
        "messages": [{"role": "user", "content": "Hi."}],
        **ALWAYS,
    }


def test_everything_set() -> None:
    body = sent(
        ChatRequest(
            messages=(Message(role="developer", content=(TextPart("a"), TextPart("b"))), HI),
            max_tokens=3,
            temperature=0.0,
            top_p=0.5,
            frequency_penalty=1.0,
            presence_penalty=-1.0,
            stop="x",
            seed=2**32 - 1,
            logit_bias={"5": -100.0},
            response_format=JsonObjectFormat(),
        )
    )
    assert body == {
        "messages": [{"role": "system", "content": "ab"}, {"role": "user", "content": "Hi."}],
        **ALWAYS,
        "max_tokens": 3,
        "temperature": 0.0,
        "top_p": 0.5,
        "frequency_penalty": 1.0,
        "presence_penalty": -1.0,
        "stop": ["x"],
        "seed": 0,
        "logit_bias": {"5": -100.0},
        "response_format": {"type": "json_object"},
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
