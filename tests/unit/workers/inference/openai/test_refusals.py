"""Refusals of the servers that there are, by what they say; and of any other, whatever it says."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.errors import BackendFailed, BadRequest, ContextExceeded, HyperinferError, ModelNotFound, Overloaded
from hyperinfer.workers.inference.backends.openai.refusals import Asked, refusal, retry_after_s

ASKED = Asked("m", "messages")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def refused(status: int, body: Any, **headers: str) -> HyperinferError:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusal(status, encoded, ASKED, headers=headers, now=NOW)


@pytest.mark.parametrize(
    ("body", "prompt", "context"),
    [
        # OpenAI
        (
            {
                "error": {
                    "message": "This model's maximum context length is 128000 tokens. However, your messages resulted in "
                    "130000 tokens. Please reduce the length of the messages.",
                    "type": "invalid_request_error",
                    "param": "messages",
                    "code": "context_length_exceeded",
                }
            },
            130000,
            128000,
        ),
        # vLLM, older and newer
        (
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in "
                "the messages, 100 in the completion). Please reduce the length of the messages or completion.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            4900,
            4096,
        ),
        (
            {
                "error": {
                    "message": "This model's maximum context length is 2048 tokens. However, your request has 3000 input "
                    "tokens. Please reduce the length of the input messages. (parameter=input_tokens, value=3000)",
                    "type": "BadRequestError",
                    "param": "input_tokens",
                    "code": 400,
                }
            },
            3000,
            2048,
        ),
        # llama.cpp's server
        (
            {
                "error": {
                    "code": 400,
                    "message": "request (931 tokens) exceeds the available context size (512 tokens), try increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 931,
                    "n_ctx": 512,
                }
            },
            931,
            512,
        ),
        ({"error": {"message": "no numbers", "code": "context_length_exceeded"}}, None, None),
    ],
)
def test_a_prompt_that_is_too_long(body: Any, prompt: int | None, context: int | None) -> None:
    error = refused(400, body)
    assert isinstance(error, ContextExceeded)
    assert error.details["param"] == "messages"
    assert (error.details.get("prompt_tokens"), error.details.get("context_tokens")) == (prompt, context)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "bad", "param": "seed"}}, BadRequest),
        (400, {"error": "bad"}, BadRequest),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "secret"}]}, BadRequest),
        (400, b"<html>secret</html>", BackendFailed),
        (404, {"error": {"message": "The model `m` does not exist.", "code": 404}}, ModelNotFound),
        (404, {"detail": "Not Found"}, BackendFailed),
        (408, {}, Overloaded),
        (418, {"error": {"message": "secret"}}, BackendFailed),
        (402, {"error": {"message": "secret"}}, BackendFailed),
        (429, {"error": {"type": "insufficient_quota", "message": "secret"}}, BackendFailed),
    ],
)
def test_what_else_may_be_wrong(status: int, body: Any, kind: type[HyperinferError]) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert "secret" not in error.message


def test_a_server_s_words_are_kept_short_and_on_one_line() -> None:
    error = refused(400, {"error": {"message": "a\nb\x1b " * 1000, "param": "p" * 1000}})
    assert len(error.message) < 600
    assert error.message.isprintable()
    assert len(error.details["param"]) <= 80


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 2.0),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "30", "retry-after-ms": "40"}, 0.04),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:10 GMT"}, 10.0),
        ({"retry-after": "Thu, 01 Jan 2020 00:00:10 GMT"}, 0.0),
        ({"retry-after": "99999999"}, 300.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, 2.0),
        ({"retry-after": "soon"}, 2.0),
        ({"retry-after-ms": "soon"}, 2.0),
    ],
)
def test_when_to_come_back(headers: dict[str, str], wait_s: float) -> None:
    assert retry_after_s(headers, NOW) == wait_s


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "message", "code", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.integers(100, 599), json_values | st.binary(max_size=50), st.text(max_size=20))
def test_whatever_a_server_says_is_an_error_of_ours(status: int, body: Any, after: str) -> None:
    error = refused(status, body, **{"retry-after": after})
    assert isinstance(error, HyperinferError)
    assert len(error.message) < 700
