"""Which servers the settings name, which they cannot mean, and what is shown of them."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from hyperinfer.errors import ConfigError
from hyperinfer.kernel.config import load, shown
from hyperinfer.workers.inference.backends.openai.servers import servers_of
from hyperinfer.workers.inference.backends.openai.settings import OpenAISettings, ServerSettings
from hyperinfer.workers.inference.config import InferenceSettings


def server(**fields: Any) -> ServerSettings:
    return ServerSettings(**{"name": "box", "url": "http://127.0.0.1:8000/v1", **fields})


def test_a_key_of_openai_serves_the_models_that_are_named_and_comes_first(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "sk-planted", "HYPERINFER_INFERENCE__OPENAI__MODELS": "gpt-4o-mini, o*"}
    sets = ['openai.servers=[{"name": "box", "url": "http://10.0.0.2:8000/v1/"}]']
    loaded = load("inference", InferenceSettings, environ=environ, folder=tmp_path, sets=sets)
    first, second = servers_of(loaded.settings.openai)
    assert (first.name, first.url, first.models) == ("openai", "https://api.openai.com/v1", ("gpt-4o-mini", "o*"))
    assert first.api_key == "sk-planted"
    assert (second.name, second.url) == ("box", "http://10.0.0.2:8000/v1")
    assert "sk-planted" not in str(shown(loaded))


def test_a_key_goes_where_the_base_url_says(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    loaded = load("inference", InferenceSettings, environ=environ, folder=tmp_path, sets=["openai.models=m"])
    assert [one.url for one in servers_of(loaded.settings.openai)] == ["http://127.0.0.1:1/v1"]


def test_a_key_alone_serves_nothing_and_says_so() -> None:
    with structlog.testing.capture_logs() as logged:
        assert servers_of(OpenAISettings(api_key="sk-planted")) == ()
    assert [entry["event"] for entry in logged] == ["openai_key_unused"]
    assert "sk-planted" not in str(logged)


def test_secrets_within_a_list_are_masked_and_the_rest_is_shown(tmp_path: Path) -> None:
    one = '[{"name": "box", "url": "http://a/v1", "api_key": "planted-1", "headers": {"x-key": "planted-2"}}]'
    loaded = load("inference", InferenceSettings, environ={}, folder=tmp_path, sets=[f"openai.servers={one}"])
    [row] = [row for row in shown(loaded) if row.path == "openai.servers"]
    assert "planted" not in str(row)
    assert (row.value[0].name, row.value[0].api_key, row.value[0].headers) == ("box", "********", {"x-key": "********"})


def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-planted\n")
    [one] = servers_of(OpenAISettings(servers=(server(api_key_file=str(tmp_path / "key")),)))
    assert one.api_key == "sk-planted"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": "127.0.0.1:8000"}, "openai.servers[0].url: write it as"),
        ({"url": "ftp://a/v1"}, "openai.servers[0].url: write it as"),
        ({"url": "http://a/v1?key=x"}, "openai.servers[0].url: write it as"),
        ({"url": "http://me:planted@a/v1"}, "openai.servers[0].url holds a user or a password"),
        ({"url": "https://api.openai.com/v1"}, "openai.servers[0].models: name the models"),
        ({"flavor": "openai"}, "openai.servers[0].models: name the models"),
        ({"parameters": {"model": "x"}}, "openai.servers[0]: model is the request's own"),
        ({"drop": ("messages",)}, "openai.servers[0]: messages is the request's own"),
        ({"api_key": "a", "api_key_file": "b"}, "openai.servers[0]: give api_key or api_key_file"),
        ({"api_key_file": "/nowhere/key"}, "openai.servers[0].api_key_file: cannot read"),
        ({"api_key": "planted\n"}, "openai.servers[0]: 'authorization' cannot be sent"),
        ({"headers": {"x key": "planted"}}, "openai.servers[0]: 'x key' cannot be sent"),
        ({"headers": {"x": "planted\r\ny: z"}}, "openai.servers[0]: 'x' cannot be sent"),
        ({"ca_file": "/nowhere/ca"}, "openai.servers[0].ca_file: there is no file"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_path(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        servers_of(OpenAISettings(servers=(server(**fields),)))
    assert sentence in refused.value.message
    assert "planted" not in refused.value.message


def test_two_servers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two servers 'box'"):
        servers_of(OpenAISettings(servers=(server(), server())))
    with pytest.raises(ConfigError, match="two servers 'openai'"):
        servers_of(OpenAISettings(models=("m",), servers=(server(name="openai"),)))
