"""Ollama's refusals, by the texts that were recorded, as errors of ours."""

import json

import pytest

from hyperinfer.errors import (
    BackendFailed,
    BadRequest,
    ContextExceeded,
    HyperinferError,
    ModelNotFound,
    Overloaded,
    Unavailable,
    Unsupported,
)
from hyperinfer.workers.inference.backends.ollama.refusals import refusal

EXCEEDED = {
    "code": 400,
    "message": "request (5010 tokens) exceeds the available context size (2048 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 5010,
    "n_ctx": 2048,
}
NO_MEMORY = "model requires more system memory (8.4 GiB) than is available (3.1 GiB)"


def refused(status: int, text: str, *, retry_after: str = "") -> HyperinferError:
    body = json.dumps({"error": text}).encode()
    return refusal(status, body, model="m", param="messages", retry_after=retry_after)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "model 'nope' not found", ModelNotFound),
        (404, 'model "nope" not found, try pulling it first', ModelNotFound),
        (400, '"minilm" does not support chat', Unsupported),
        (400, "smollm2:135m does not support tools", Unsupported),
        (400, '"smollm2:135m" does not support thinking', Unsupported),
        (501, "This server does not support embeddings. Start it with `--embeddings`", Unsupported),
        (400, "invalid character 'b' looking for beginning of object key string", BadRequest),
        (400, json.dumps({"error": EXCEEDED}), ContextExceeded),
        (500, json.dumps({"error": EXCEEDED}), ContextExceeded),
        (400, "the input length exceeds the context length", ContextExceeded),
        (503, "server busy, please try again.  maximum pending requests exceeded", Overloaded),
        (429, "too many requests", Overloaded),
        (500, NO_MEMORY, Unavailable),
        (500, "an error was encountered while running the model: unexpected EOF", BackendFailed),
        (499, "request canceled", BackendFailed),
        (401, "unauthorized", BackendFailed),
        (403, "forbidden", BackendFailed),
        (302, "", BackendFailed),
    ],
)
def test_refusals(status: int, text: str, kind: type[HyperinferError]) -> None:
    assert type(refused(status, text)) is kind


@pytest.mark.parametrize("body", [b"", b"404 page not found", b"\xff", b"[]", b'{"error": {"message": "x"}}', b"{"])
@pytest.mark.parametrize("status", [404, 500, 502])
def test_what_is_not_ollamas_is_a_failure(status: int, body: bytes) -> None:
    assert type(refusal(status, body, model="m", param="messages")) is BackendFailed


def test_numbers_of_a_prompt_that_is_too_long() -> None:
    error = refused(400, json.dumps({"error": EXCEEDED}))
    assert error.details == {"param": "messages", "prompt_tokens": 5010, "context_tokens": 2048}
    assert "5010" in error.message


def test_who_is_busy_says_for_how_long() -> None:
    assert refused(503, "busy").details["retry_after_s"] == 2.0
    assert refused(503, "busy", retry_after="17").details["retry_after_s"] == 17.0
    assert refused(503, "busy", retry_after="soon").details["retry_after_s"] == 2.0


def test_a_lack_of_memory_is_told_and_nothing_else_of_it() -> None:
    error = refused(500, f"{NO_MEMORY} and more of this machine")
    assert NO_MEMORY in error.message
    assert "of this machine" not in error.message


def test_texts_are_bounded() -> None:
    assert len(refused(400, "x" * 100_000).message) < 500


def test_a_refused_key_is_not_its_callers_business() -> None:
    assert "key" not in refused(401, "the key sk-1234 is wrong").message
