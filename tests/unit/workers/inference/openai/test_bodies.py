"""What is written anew in a request, and what goes on byte by byte."""

import json
from typing import Any

import msgspec

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest
from hyperinfer.workers.inference.backends import Job
from hyperinfer.workers.inference.backends.openai.bodies import Bodies
from hyperinfer.workers.inference.backends.openai.flavors import FLAVORS
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings

USER = {"role": "user", "content": "Hi."}


def chat(flavor: str, *, so_far: str = "", raw: bytes = b"", **fields: Any) -> dict[str, Any]:
    body = raw or json.dumps({"messages": [USER], **fields}).encode()
    job = Job("m", msgspec.json.decode(body, type=ChatRequest), body, so_far)
    bodies = Bodies(ServerSettings(name="box", url="http://a/v1"))
    written: dict[str, Any] = json.loads(bodies.chat(job, "theirs", FLAVORS[flavor]))  # type: ignore[index]
    return written


def test_the_longest_answer_s_length_has_the_name_that_the_server_knows() -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        given: dict[str, Any] = {name: 7}
        assert chat("openai", **given)["max_completion_tokens"] == 7
        assert "max_tokens" not in chat("openai", **given)
        assert chat("vllm", **given)["max_tokens"] == 7
        assert "max_completion_tokens" not in chat("vllm", **given)
    assert not {"max_tokens", "max_completion_tokens"} & chat("vllm").keys()


def test_a_penalty_for_repeating_has_the_name_that_the_server_knows() -> None:
    assert chat("llamacpp", repeat_penalty=1.1, top_k=7).items() >= {"repeat_penalty": 1.1, "top_k": 7}.items()
    vllm = chat("vllm", repeat_penalty=1.1)
    assert vllm["repetition_penalty"] == 1.1
    assert "repeat_penalty" not in vllm


def test_messages_are_not_touched_where_nothing_has_to_be_said_otherwise() -> None:
    raw = b'{"messages":[{"role":"user","content":"\\u0048i.", "odd" : [1.50]}],"model":"ours","model":"again"}'
    body = chat("vllm", raw=raw)
    assert body["messages"] == [{"role": "user", "content": "Hi.", "odd": [1.5]}]
    assert body["model"] == "theirs"


def test_developers_are_the_system_where_the_role_is_not_known() -> None:
    messages = [{"role": "developer", "content": "Be brief.", "odd": 1}, USER]
    assert chat("openai", messages=messages)["messages"] == messages
    assert chat("vllm", messages=messages)["messages"][0] == {"role": "system", "content": "Be brief.", "odd": 1}


def test_an_answer_so_far_is_the_last_message_and_joined_where_two_in_a_row_are_refused() -> None:
    begun = [USER, {"role": "assistant", "content": "One"}]
    end = {"role": "assistant", "content": " two"}
    assert chat("vllm", messages=begun, so_far=" two")["messages"] == [*begun, end]
    assert chat("llamacpp", messages=begun, so_far=" two")["messages"] == [
        USER,
        {"role": "assistant", "content": "One two"},
    ]
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    called = [USER, {"role": "assistant", "content": None, "tool_calls": calls}]
    assert chat("llamacpp", messages=called, so_far=" two")["messages"] == [*called, end]


def test_texts_say_how_long_they_may_be() -> None:
    bodies = Bodies(ServerSettings(name="box", url="http://a/v1", drop=("seed",)))
    raw = b'{"prompt":"One","echo":true,"seed":1,"best_of":null}'
    job = Job("m", msgspec.json.decode(raw, type=CompletionRequest), raw, " two")
    body = json.loads(bodies.text(job, "theirs", FLAVORS["generic"]))
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    assert body == {"prompt": "One two", "best_of": None, "max_tokens": 16, "model": "theirs", **stream}
