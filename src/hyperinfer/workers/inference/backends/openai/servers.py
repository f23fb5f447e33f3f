"""The servers that the settings name, checked and with their keys."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from msgspec.structs import replace

from hyperinfer.errors import ConfigError
from hyperinfer.workers.inference.backends.openai.flavors import OPENAI_HOST
from hyperinfer.workers.inference.backends.openai.settings import OpenAISettings, ServerSettings

FIRST = "openai"
RESERVED = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options"})
"""What `parameters` and `drop` cannot be about: without these there is no request."""
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, section 5.6.2)."""

log = structlog.get_logger(__name__)


def servers_of(settings: OpenAISettings) -> tuple[ServerSettings, ...]:
    """Every server, in the order in which they count. Raises `ConfigError` for one that cannot be meant."""
    named: list[tuple[str, ServerSettings]] = []
    if settings.models:
        first = ServerSettings(name=FIRST, url=settings.url, api_key=settings.api_key, models=settings.models)
        named.append(("openai", first))
    elif settings.api_key:
        log.warning("openai_key_unused", reason="openai.models names no models that may be used with openai.api_key")
    named += ((f"openai.servers[{index}]", server) for index, server in enumerate(settings.servers))
    seen: set[str] = set()
    for path, server in named:
        if server.name in seen:
            raise ConfigError(f"{path}.name: there are two servers {server.name!r}.", path=f"{path}.name")
        seen.add(server.name)
    return tuple(_checked(server, path) for path, server in named)


def _checked(server: ServerSettings, path: str) -> ServerSettings:
    if not _is_address(server.url):
        raise ConfigError(f"{path}.url: write it as http://127.0.0.1:8000/v1.", path=f"{path}.url")
    parts = urlsplit(server.url)
    if "@" in parts.netloc:
        raise ConfigError(
            f"{path}.url holds a user or a password: put them into {path}.headers, as authorization.",
            path=f"{path}.url",
        )
    if not server.models and (server.flavor == "openai" or parts.hostname == OPENAI_HOST):
        raise ConfigError(
            f"{path}.models: name the models that the swarm may use; OpenAI is paid by the token.",
            path=f"{path}.models",
        )
    if said := sorted(RESERVED & {*server.parameters, *server.drop}):
        raise ConfigError(f"{path}: {said[0]} is the request's own.", path=path)
    if server.api_key and server.api_key_file:
        raise ConfigError(f"{path}: give api_key or api_key_file, not both.", path=path)
    key = _read(server.api_key_file, f"{path}.api_key_file") if server.api_key_file else server.api_key
    headers = {**server.headers, "authorization": key, "organization": server.organization, "project": server.project}
    for name, value in headers.items():
        if not NAME.fullmatch(name) or not value.isprintable():
            raise ConfigError(f"{path}: {name[:40]!r} cannot be sent as a header.", path=path)
    if server.ca_file and not Path(server.ca_file).is_file():
        raise ConfigError(f"{path}.ca_file: there is no file {server.ca_file}.", path=f"{path}.ca_file")
    return replace(server, url=server.url.rstrip("/"), api_key=key)


def _read(file: str, path: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read {file}: {error.strerror}.", path=path) from error


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return False
