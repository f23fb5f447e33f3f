"""Configuration: which layer wins, where a value came from, and what a wrong one is told."""

from pathlib import Path

import msgspec
import pytest

from hyperinfer.errors import ConfigError
from hyperinfer.kernel.config import Loaded, load, shown
from hyperinfer.kernel.settings import HttpSettings, Settings, WorkerSettings
from hyperinfer.kernel.settings_tree import Secret


class Tier(Settings, frozen=True):
    per_minute: int = 10


class ShopSettings(WorkerSettings, frozen=True):
    database_url: Secret | None = None
    http: HttpSettings = HttpSettings(first_port=4000)
    names: tuple[str, ...] = ()
    tiers: dict[str, Tier] = {}


def load_shop(tmp_path: Path, *, wtype: str = "auth", **more: object) -> Loaded[ShopSettings]:
    environ = more.pop("environ", {})
    return load(wtype, ShopSettings, environ=environ, folder=tmp_path, **more)  # type: ignore[arg-type]


def test_defaults_stand_where_nothing_is_said(tmp_path: Path) -> None:
    loaded = load_shop(tmp_path)
    assert loaded.settings == ShopSettings()
    assert loaded.settings.http.first_port == 4000
    assert set(loaded.origins.values()) == {"default"}


def test_each_layer_overrides_the_one_before_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "common.json").write_text('{"drain_s": 1, "log": {"level": "warning"}}')
    (tmp_path / "auth.json").write_text('{"drain_s": 2.5, "environments": {"test": {"http": {"port": 1}}}}')
    (tmp_path / "test.auth.json").write_text('{"names": ["a"]}')
    environ = {"HYPERINFER_AUTH__HTTP__PORT": "2", "HYPERINFER_COMMON__NET__BOOTSTRAP": "127.0.0.1:1, 127.0.0.1:2"}
    loaded = load_shop(tmp_path, env="test", environ=environ, sets=["http.host=127.0.0.2"])
    settings = loaded.settings
    assert (settings.drain_s, settings.log.level, settings.names) == (2.5, "warning", ("a",))
    assert (settings.http.port, settings.http.host, settings.http.first_port) == (2, "127.0.0.2", 4000)
    assert settings.net.bootstrap == ("127.0.0.1:1", "127.0.0.1:2")
    assert loaded.origins["http.port"] == "HYPERINFER_AUTH__HTTP__PORT"
    assert loaded.origins["http.host"] == "--set"
    assert loaded.origins["drain_s"] == "auth.json"
    assert loaded.origins["names"] == "test.auth.json"


def test_names_of_the_specification_are_known(tmp_path: Path) -> None:
    loaded = load_shop(tmp_path, environ={"DATABASE_URL": "sqlite:///x", "DEBUG": "1"})
    assert loaded.settings.database_url == "sqlite:///x"
    assert loaded.settings.log.level == "debug"
    assert loaded.origins["database_url"] == "DATABASE_URL"


def test_a_secret_comes_from_a_file_and_is_masked(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://planted\n")
    loaded = load_shop(tmp_path, sets=[f"database_url_file={tmp_path / 'secret'}"])
    assert loaded.settings.database_url == "postgresql://planted"
    assert "planted" not in str(shown(loaded))


def test_tables_and_lists_from_text(tmp_path: Path) -> None:
    loaded = load_shop(tmp_path, sets=['tiers={"gold": {"per_minute": 7}}', 'names=["x", "y"]'])
    assert loaded.settings.tiers == {"gold": Tier(per_minute=7)}
    assert loaded.settings.names == ("x", "y")


@pytest.mark.parametrize(
    ("file", "sets", "sentence"),
    [
        ('{"drain": 1}', [], "drain is not a setting (from auth.json). Did you mean drain_s?"),
        ('{"http": {"prt": 1}}', [], "http.prt is not a setting (from auth.json). Did you mean http.port?"),
        ('{"http": 3}', [], "http is a section"),
        ('{"drain_s": "soon"}', [], "drain_s: Expected `float`, got `str` (from auth.json)."),
        ("{", [], "Cannot read the configuration file"),
        ("{}", ["http.port"], "write it as --set path=value"),
        ("{}", ["http.port=many"], "http.port: "),
        ("{}", ["log.level=loud"], "log.level: Invalid enum value"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_path(tmp_path: Path, file: str, sets: list[str], sentence: str) -> None:
    (tmp_path / "auth.json").write_text(file)
    with pytest.raises(ConfigError) as caught:
        load_shop(tmp_path, sets=sets)
    assert sentence in caught.value.message


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ShopSettings().drain_s = 1.0  # type: ignore[misc]
    assert msgspec.json.encode(ShopSettings())
