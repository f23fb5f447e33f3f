"""Configuration: defaults < file < environment < `--set`, each value with where it came from.

This is the only module that reads the environment.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from hyperinfer.errors import ConfigError
from hyperinfer.kernel import settings_tree as tree
from hyperinfer.kernel.settings import WorkerSettings

S = TypeVar("S", bound=WorkerSettings)

COMMON = "common"
"""What holds for every worker of a machine: `config/common.json`, `HYPERINFER_COMMON__…`."""

DEFAULT = "default"

NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "DATABASE_URL": (("auth", "database_url"),),
    "PORT": (("gateway", "http.port"), ("client", "http.port")),
    "GATEWAY_SERVICE_PORT": (("gateway", "http.port"),),
    "AUTH_SERVICE_PORT": (("auth", "observe.port"),),
    "INFERENCE_SERVICE_PORT": (("inference", "observe.port"),),
    "METRICS_SERVICE_PORT": (("metrics", "observe.port"),),
    "PROMETHEUS_PORT": (("metrics", "observe.port"),),
    "OLLAMA_URL": (("inference", "ollama.url"),),
    "OPENAI_API_KEY": (("inference", "openai.api_key"),),
    "OPENAI_BASE_URL": (("inference", "openai.url"),),
    "REDIS_URL": (("gateway", "limits.redis_url"),),
    "METRICS_ENABLED": ((COMMON, "observe.enabled"),),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ((COMMON, "tracing.endpoint"),),
    "OTEL_EXPORTER_OTLP_HEADERS": ((COMMON, "tracing.headers"),),
    "OTEL_SERVICE_NAME": ((COMMON, "tracing.service_name"),),
    "OTEL_TRACES_SAMPLER_ARG": ((COMMON, "tracing.ratio"),),
    "DATABASE_READ_URL": (("auth", "database_read_url"),),
    "DEFAULT_RATE_LIMIT": (("auth", "tiers.default.requests_per_hour"),),
    "PREMIUM_RATE_LIMIT": (("auth", "tiers.premium.requests_per_hour"),),
    "MAX_REQUESTS_PER_INTERVAL": (("auth", "tiers.default.requests_per_interval"),),
    "RESET_INTERVAL_MINUTE": (("auth", "tiers.default.interval_minutes"),),
}
"""Environment variables with names of their own: the workers and settings that each stands for."""

OWN = frozenset({"HYPERINFER_HOME", "HYPERINFER_GATEWAY", "HYPERINFER_API_KEY", "HYPERINFER_PROFILE"})
"""Environment variables of ours that are no settings."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """Settings in force, and for each dotted path where its value came from."""

    wtype: str
    settings: S
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as it is shown to a person; the value of a secret is masked."""

    path: str
    value: Any
    origin: str


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder under which data, status, logs and config are: `HYPERINFER_HOME`, or the working directory."""
    return Path(environ.get("HYPERINFER_HOME") or ".").absolute()


def debug(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `DEBUG` asks for debug logs and tracebacks."""
    return environ.get("DEBUG", "").lower() in ("1", "true", "yes", "on")


def plain(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether text without colours is wanted: `NO_COLOR` asks for it (https://no-color.org), and a dumb terminal has none."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"


def unknown_names(wtypes: Iterable[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Environment variables that look like settings of ours and are those of no worker: nothing reads them."""
    scopes = tuple(f"HYPERINFER_{scope.upper()}__" for scope in (COMMON, *wtypes))
    return sorted(
        name for name in environ if name.startswith("HYPERINFER_") and name not in OWN and not name.startswith(scopes)
    )


def hub(environ: Mapping[str, str] = os.environ) -> tuple[str | None, str | None]:
    """Where models are pulled from and with which token: `HF_ENDPOINT` and `HF_TOKEN`, as every tool of that hub reads them."""
    return environ.get("HF_ENDPOINT") or None, environ.get("HF_TOKEN") or None


def gateway(environ: Mapping[str, str] = os.environ) -> tuple[str | None, str | None]:
    """The gateway that clients use unless told otherwise, and the credential for it: `HYPERINFER_GATEWAY` and
    `HYPERINFER_API_KEY`."""
    return environ.get("HYPERINFER_GATEWAY") or None, environ.get("HYPERINFER_API_KEY") or None


def profile(environ: Mapping[str, str] = os.environ) -> str | None:
    """Which of a person's profiles is meant unless something else is said: `HYPERINFER_PROFILE`."""
    return environ.get("HYPERINFER_PROFILE") or None


def load(
    wtype: str,
    kind: type[S],
    *,
    env: str | None = None,
    file: Path | None = None,
    sets: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Loaded[S]:
    """A worker's settings.

    `file` replaces the files found in the config folder, `sets` are `a.b=value`, `base` are other defaults (by dotted
    path) of whoever composes the worker. Raises `ConfigError` naming the path and where it came from.
    """
    known = dict(tree.leaves(kind))
    values: dict[str, Any] = dict(base or {})
    origins: dict[str, str] = dict.fromkeys(values, DEFAULT)

    def take(path: str, value: Any, origin: str, *, text: bool) -> None:
        path, value, text = _secret_file(path, value, known, origin, text=text)
        tree.check_known(path, known, origin)
        parse = tree.parse_text if text else tree.parse_value
        values[path] = parse(value, known[path], path, origin)
        origins[path] = origin

    for origin, content in _files(wtype, env, file, folder or home(environ) / "config"):
        for path, value in tree.flatten(content, kind, origin).items():
            take(path, value, origin, text=False)
    for path, value, origin in _environment(wtype, known, environ):
        take(path, value, origin, text=True)
    for item in sets:
        path, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item}: write it as --set path=value, such as --set http.port=3000.")
        take(path.strip(), value, "--set", text=True)
    return Loaded(wtype, tree.build(kind, values), {path: origins.get(path, DEFAULT) for path in known})


def shown(loaded: Loaded[S]) -> list[Shown]:
    """Every setting in force with its origin, secrets masked."""
    rows = []
    for path, kind in tree.leaves(type(loaded.settings)):
        value = tree.lookup(loaded.settings, path)
        rows.append(Shown(path, tree.masked(value, kind), loaded.origins[path]))
    return rows


def _files(wtype: str, env: str | None, file: Path | None, folder: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    if file is not None:
        candidates = [file]
        if not file.exists():
            raise ConfigError(f"There is no configuration file {file}.")
    else:
        names = [COMMON, wtype, *([f"{env}.{COMMON}", f"{env}.{wtype}"] if env else [])]
        candidates = [folder / f"{name}.json" for name in names]
    for path in candidates:
        if path.exists():
            yield from _sections(path, env)


def _sections(path: Path, env: str | None) -> Iterable[tuple[str, dict[str, Any]]]:
    """A file's own settings, then those of its section for the environment (`"environments": {"production": {…}}`)."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"Cannot read the configuration file {path}: {error}") from error
    sections = content.pop("environments", {})
    if not isinstance(sections, dict):
        raise ConfigError(f"environments in {path} must hold one section for each environment.")
    yield path.name, content
    if env and env in sections:
        yield f"{path.name}, {env}", sections[env]


def _environment(wtype: str, known: Mapping[str, Any], environ: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    if debug(environ):
        yield "log.level", "debug", "DEBUG"
    for name, targets in NAMES.items():
        for target, path in targets:
            if name in environ and target in (wtype, COMMON) and path in known:
                yield path, environ[name], name
    for scope in (COMMON, wtype):
        prefix = f"HYPERINFER_{scope.upper()}__"
        for name in sorted(environ):
            if name.startswith(prefix):
                yield name.removeprefix(prefix).lower().replace("__", "."), environ[name], name


def _secret_file(path: str, value: Any, known: Mapping[str, Any], origin: str, *, text: bool) -> tuple[str, Any, bool]:
    """`api_key_file = F` gives `api_key` the content of F, where `api_key` is a secret."""
    target = path.removesuffix("_file")
    if path in known or target == path or target not in known or not tree.is_secret(known[target]):
        return path, value, text
    try:
        return target, Path(str(value)).read_text().strip(), True
    except OSError as error:
        raise ConfigError(f"{path}: cannot read {value}: {error.strerror} (from {origin}).", path=path) from error
