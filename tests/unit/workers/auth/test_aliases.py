"""The aliases as configured."""

from pathlib import Path

import pytest

from hyperinfer.errors import ConfigError
from hyperinfer.kernel import config
from hyperinfer.workers.auth.aliases import MAX_ALIASES, MAX_MODELS, Aliases
from hyperinfer.workers.auth.config import AuthSettings


def test_an_alias_is_a_line_of_models() -> None:
    line = ("llama3", "hf.co/some one/model:Q4", "smollm2")
    assert dict(Aliases({"llama3": line, "gpt-4o": ["smollm2"]})) == {"llama3": line, "gpt-4o": ("smollm2",)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"": ("m",)}, "an alias has 1 to 64"),
        ({"a" * 65: ("m",)}, "an alias has 1 to 64"),
        ({"gpt*": ("m",)}, "an alias"),
        ({"a\n": ("m",)}, "an alias"),
        ({" a": ("m",)}, "an alias"),
        ({"a": ()}, "aliases.a: it stands for 1 to 16"),
        ({"a": tuple(f"m{n}" for n in range(MAX_MODELS + 1))}, "1 to 16"),
        ({"a": ("m", "n", "m")}, "twice"),
        ({"a": ("m", "")}, "a model of aliases.a"),
        ({"a": ("m" * 201,)}, "a model of aliases.a"),
        ({"a": ("m",), "A": ("n",)}, "a and A differ in case"),
        ({f"a{n}": ("m",) for n in range(MAX_ALIASES + 1)}, "256"),
    ],
)
def test_what_cannot_work_stops_the_start(settings: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Aliases(settings)


def test_they_are_configured_as_a_file_or_the_environment_says(tmp_path: Path) -> None:
    wanted = {"llama3": ("llama3.1:8b", "smollm2")}
    (tmp_path / "auth.json").write_text('{"aliases": {"llama3": ["llama3.1:8b", "smollm2"]}}')
    assert config.load("auth", AuthSettings, folder=tmp_path, environ={}).settings.aliases == wanted
    environ = {"HYPERINFER_AUTH__ALIASES": '{"llama3": ["llama3.1:8b", "smollm2"]}'}
    assert config.load("auth", AuthSettings, folder=tmp_path / "none", environ=environ).settings.aliases == wanted
