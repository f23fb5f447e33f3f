"""Answers are kept for requests that have only one, and two requests share one only if nothing that matters differs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.inference import Continued, Kind, ProcessRequest
from hyperinfer.workers.inference.backends import BackendModel
from hyperinfer.workers.inference.cache import CacheKey, CacheSettings
from hyperinfer.workers.inference.cache.keys import MAX_BODY_BYTES, Keys, canonical
from hyperinfer.workers.inference.requests import read

MODEL = BackendModel(name="m", state="ready", slots=1, context_tokens=128, revision="r1")
MESSAGES = [{"role": "user", "content": "Hi."}]
CHAT = {"model": "m", "messages": MESSAGES, "temperature": 0}
EMBEDDING = {"model": "m", "input": "Hi."}
ASKED = CacheSettings()


def key(
    body: Mapping[str, Any] | bytes = CHAT,
    *,
    kind: Kind = "chat",
    model: BackendModel = MODEL,
    keys: Keys | None = None,
    settings: CacheSettings = ASKED,
    secret: bytes = b"secret",
    backend: str = "echo",
    **fields: Any,
) -> CacheKey | None:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    request = ProcessRequest(**{"kind": kind, "body": msgspec.Raw(raw), "fair_key": "u1", "cache": True, **fields})
    return (keys or Keys(settings, secret)).key(request, read(request, kind), backend, model)


@pytest.mark.parametrize(
    "change",
    [
        {"stream": True},
        {"stream_options": {"include_usage": True}},
        {"user": "somebody"},
        {"metadata": {"a": "b"}},
        {"service_tier": "flex"},
        {"model": "alias-of-m"},
        {"seed": None},
        {"stop": None},
    ],
)
def test_what_does_not_change_the_answer_does_not_change_the_key(change: dict[str, Any]) -> None:
    assert key({**CHAT, **change}) == key() is not None


def test_the_order_of_fields_and_blanks_do_not_matter() -> None:
    assert key(b'{ "temperature":0, "messages": [{"content": "Hi.", "role":"user"}] }') == key()


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "Hi!"}]},
        {"messages": [*MESSAGES, *MESSAGES]},
        {"max_tokens": 5},
        {"seed": 1},
        {"n": 2},
        {"top_p": 0.5},
        {"logprobs": True},
        {"a_field_of_the_backend_s_own": 1},
    ],
)
def test_what_may_change_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    found = key({**CHAT, **change})
    assert found is not None
    assert found != key()


@pytest.mark.parametrize(
    "other",
    [
        {"fair_key": "u2"},
        {"model": replace(MODEL, name="other")},
        {"model": replace(MODEL, revision="r2")},
        {"model": replace(MODEL, context_tokens=64)},
        {"backend": "ollama"},
        {"secret": b"another swarm"},
    ],
)
def test_users_models_and_swarms_are_held_apart(other: dict[str, Any]) -> None:
    found, own = key(**other), key()
    assert found
    assert own
    assert found.name != own.name
    assert found.secret != own.secret


def test_a_name_and_its_secret_say_nothing_of_each_other() -> None:
    found = key()
    assert found
    assert found.name != found.secret.hex()
    assert found.secret.hex() not in repr(found)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": MESSAGES},
        {"messages": MESSAGES, "temperature": 0.1},
        {"messages": MESSAGES, "top_p": 0},
    ],
)
def test_what_is_left_to_chance_is_not_kept(body: dict[str, Any]) -> None:
    assert key(body) is None
    assert key({**body, "seed": 7}) is not None


def test_embeddings_have_only_one_answer() -> None:
    found = key(EMBEDDING, kind="embedding")
    assert found is not None
    assert key({**EMBEDDING, "encoding_format": "base64"}, kind="embedding") == found
    assert key({**EMBEDDING, "dimensions": 2}, kind="embedding") != found


def test_the_kind_of_a_request_is_part_of_its_key() -> None:
    body = {**CHAT, "prompt": "Hi."}
    assert key(body) != key(body, kind="completion")


@pytest.mark.parametrize(
    ("use", "asked", "is_kept"),
    [
        ("asked", None, False),
        ("asked", True, True),
        ("asked", False, False),
        ("always", None, True),
        ("always", True, True),
        ("always", False, False),
        ("never", None, False),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_the_settings_and_the_request_say_whether_the_cache_is_used(
    use: Any, asked: bool | None, *, is_kept: bool
) -> None:
    assert (key(settings=CacheSettings(use=use), cache=asked) is not None) == is_kept


def test_an_answer_that_is_gone_on_with_is_not_kept() -> None:
    assert key(continues=Continued(text="Hel", tokens=1)) is None


def test_a_prompt_alone_is_left_to_chance() -> None:
    request = ProcessRequest(prompt="Hi.", fair_key="u1", cache=True)
    assert Keys(ASKED, b"s").key(request, read(request, "chat"), "echo", MODEL) is None


@pytest.mark.parametrize(
    ("shared", "kinds"), [("nothing", ()), ("embeddings", ("embedding",)), ("everything", ("chat", "embedding"))]
)
def test_only_what_is_shared_is_given_to_others(shared: Any, kinds: tuple[Kind, ...]) -> None:
    keys = Keys(CacheSettings(shared=shared), b"s")

    def is_shared(body: Mapping[str, Any], kind: Kind) -> bool:
        return key(body, kind=kind, keys=keys, fair_key="u1") == key(body, kind=kind, keys=keys, fair_key="u2")

    assert is_shared(CHAT, "chat") == ("chat" in kinds)
    assert is_shared(EMBEDDING, "embedding") == ("embedding" in kinds)


def test_nothing_is_kept_for_who_is_not_known() -> None:
    assert key(fair_key="") is None
    assert key(fair_key="", settings=CacheSettings(shared="everything")) is not None


def test_of_a_model_whose_weights_are_not_known_only_this_process_keeps_answers() -> None:
    unknown, keys = replace(MODEL, revision=""), Keys(ASKED, b"s")
    assert key(model=unknown, keys=keys) == key(model=unknown, keys=keys)
    assert key(model=unknown) != key(model=unknown), "another process, with the same secret"


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": "a", "input": "b"}',
        b'{"x": {"a": 1, "a": 2}}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x": "' + b"y" * MAX_BODY_BYTES + b'"}',
        b"not json",
        b"\xff",
    ],
)
def test_bodies_that_are_not_looked_up(body: bytes) -> None:
    assert canonical(body) is None


def test_numbers_of_any_size_are_told_apart() -> None:
    assert canonical(b'{"x": 123456789012345678901234567890}') != canonical(b'{"x": 123456789012345678901234567891}')
    assert canonical(b'{"x": "\\ud800"}') is not None
