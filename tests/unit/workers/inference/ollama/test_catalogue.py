"""Ollama's lists as recorded, and what is offered of them."""

import msgspec
import pytest

from hyperinfer.errors import ConfigError
from hyperinfer.workers.inference.backends import (
    CHAT,
    COMPLETION,
    CONTINUES,
    DIMENSIONS,
    EMBEDDING,
    JSON,
    LOGPROBS,
    REASONING,
    SUFFIX,
    TOOLS,
    VISION,
    BackendModel,
)
from hyperinfer.workers.inference.backends.ollama.catalogue import (
    Catalogue,
    Details,
    Loaded,
    Ps,
    Tag,
    Tags,
    chosen,
    offered,
)
from hyperinfer.workers.inference.backends.ollama.client import checked
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

TAGS = rb"""{"models":[
{"name":"smollm2:135m","model":"smollm2:135m","modified_at":"2026-11-21T02:57:27.74402333Z","size":98362745,
"digest":"fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794","details":{"parent_model":"","format":"gguf",
"family":"llama","families":["llama"],"parameter_size":"134.52M","quantization_level":"Q4_1","context_length":8192,
"embedding_length":576},"capabilities":["completion"]},
{"name":"minilm:latest","model":"minilm:latest","modified_at":"2026-11-21T02:57:27.952871857Z","size":46223604,
"digest":"c8041ef8caa002392964405816737dfb083e3b6696810d4b84182b0c2c3feaf9","details":{"parent_model":"","format":"gguf",
"family":"bert","families":["bert"],"parameter_size":"22.57M","quantization_level":"F16","context_length":512,
"embedding_length":384},"capabilities":["embedding"]}]}"""
PS = rb"""{"models":[{"name":"smollm2:135m","model":"smollm2:135m","size":321011056,"digest":"fd5f44c0","details":{"family":"llama"},
"expires_at":"2026-11-21T03:02:31.579388309Z","size_vram":0,"context_length":2048}]}"""
PLAIN = OllamaSettings()


def only(tag: Tag, settings: OllamaSettings = PLAIN, **catalogue: object) -> BackendModel:
    found = offered(Catalogue(**{"tags": (tag,), **catalogue}), settings)  # type: ignore[arg-type]
    assert len(found) == 1
    return found[0]


def tag(*capabilities: str, **fields: object) -> Tag:
    return Tag(**{"name": "m:1b", "capabilities": capabilities or ("completion",), **fields})  # type: ignore[arg-type]


def test_models_as_recorded() -> None:
    tags = chosen(msgspec.json.decode(TAGS, type=Tags), PLAIN)
    loaded = {model.name: model for model in msgspec.json.decode(PS, type=Ps).models or ()}
    chat, embedder = offered(Catalogue("0.32.15", tags, loaded), PLAIN)
    assert chat == BackendModel(
        name="smollm2:135m",
        state="ready",
        slots=1,
        context_tokens=2048,
        capabilities=(CHAT, COMPLETION, JSON, LOGPROBS),
        memory_bytes=321011056,
        revision="fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794",
    )
    assert embedder == BackendModel(
        name="minilm:latest",
        state="idle",
        slots=1,
        context_tokens=0,
        capabilities=(EMBEDDING, DIMENSIONS),
        revision="c8041ef8caa002392964405816737dfb083e3b6696810d4b84182b0c2c3feaf9",
    )


def test_nothing_is_there_without_lists() -> None:
    assert chosen(msgspec.json.decode(b'{"models":null}', type=Tags), PLAIN) == ()


def test_each_of_ollamas_capabilities() -> None:
    model = only(tag("completion", "tools", "vision", "thinking", "insert", "telepathy"))
    assert set(model.capabilities) == {CHAT, COMPLETION, JSON, TOOLS, VISION, REASONING, SUFFIX, LOGPROBS}


def test_what_can_do_nothing_that_we_know_is_not_offered() -> None:
    assert offered(Catalogue(tags=(tag("image"),)), PLAIN) == ()


@pytest.mark.parametrize(
    ("version", "tells"), [("0.12.10", False), ("0.12.11", True), ("0.32.15-rc1", True), ("0.0.0", True), ("", True)]
)
def test_versions_that_tell_logprobs(version: str, *, tells: bool) -> None:
    assert (LOGPROBS in only(tag(), version=version).capabilities) is tells


def test_only_what_is_allowed_and_runs_here_is_offered() -> None:
    tags = Tags((tag(name="qwen3:8b"), tag(name="llama3:8b"), tag(name="qwen3:cloud", remote_host="https://far")))
    assert [model.name for model in chosen(tags, OllamaSettings(models=("qwen*",)))] == ["qwen3:8b"]
    assert [model.name for model in chosen(tags, OllamaSettings(models=("qwen*",), remote_models=True))] == [
        "qwen3:8b",
        "qwen3:cloud",
    ]
    assert chosen(tags, OllamaSettings(models=())) == ()


def test_answers_are_gone_on_with_only_where_the_operator_says_so() -> None:
    assert CONTINUES not in only(tag()).capabilities
    assert CONTINUES in only(tag(), OllamaSettings(continues=("m:*",))).capabilities


def test_a_context_is_the_one_that_was_loaded_or_will_be() -> None:
    trained = tag(details=Details(8192))
    assert only(trained).context_tokens == 0
    assert only(trained, OllamaSettings(context_tokens=4096)).context_tokens == 4096
    assert only(trained, OllamaSettings(context_tokens=32768)).context_tokens == 8192
    assert only(trained, loaded={"m:1b": Loaded("m:1b", context_length=1024)}).context_tokens == 1024


def test_a_revision_is_ollamas_digest_and_whatever_options_lie_over_it() -> None:
    made = tag(digest="fd5f")
    plain, warm, cold = (
        only(made, OllamaSettings(options=options)).revision
        for options in ({}, {"temperature": 1, "top_k": 5}, {"temperature": 0, "top_k": 5})
    )
    assert plain == "fd5f"
    assert len({plain, warm, cold}) == 3
    assert only(made, OllamaSettings(options={"top_k": 5, "temperature": 1})).revision == warm
    assert only(tag(), OllamaSettings(options={"top_k": 5})).revision == ""


def test_states() -> None:
    catalogue = Catalogue(tags=(tag(),))
    assert offered(catalogue, PLAIN, loading={"m:1b"})[0].state == "loading"
    gone = offered(catalogue, PLAIN, away="It sleeps.")[0]
    assert (gone.state, gone.reason) == ("away", "It sleeps.")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:11434", "ftp://a", "http://", "http://a:b", "http://a?x=1", "http://[x"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match="http://127"):
        checked(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        checked("http://me:hunter2@ollama.lan")
    assert "hunter2" not in str(caught.value)


def test_an_address_may_have_a_path() -> None:
    assert checked("https://lan/ollama/") == "https://lan/ollama"


@pytest.mark.parametrize("written", ["10", "-1", "5m", "1h30m", "1.5h", ""])
def test_durations(written: str) -> None:
    assert msgspec.convert({"keep_alive": written}, OllamaSettings).keep_alive == written


@pytest.mark.parametrize("written", ["soon", "5 m", "m", "--1"])
def test_durations_that_are_none(written: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"keep_alive": written}, OllamaSettings)
