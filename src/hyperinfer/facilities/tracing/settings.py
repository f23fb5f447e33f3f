"""Settings of the tracing facility."""

from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.secret import Secret

PATH = "/v1/traces"
"""Where OTLP over HTTP takes traces, below a collector's address."""

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where spans of requests go, by OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/); nowhere without an `endpoint`.

    `endpoint` is a collector's address such as `http://127.0.0.1:4318`; `/v1/traces` is added to it. `headers` are sent to it, as
    `name=value,name=value`, with `%XX` for what is special. Of traces that begin here the share `ratio` is recorded, and
    `per_s` a second at most, so that a busy gateway pays no more for them than a quiet one; of those that a client asks for by a
    `traceparent` that says so, the same, and beyond it `asked_per_s` a second.
    `service_name` stands before the worker's type in `service.name`. `gzip` packs what is sent, which costs more than it saves on
    one's own network.
    """

    endpoint: str = ""
    headers: Secret = ""
    ratio: Ratio = 1.0
    per_s: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 50
    asked_per_s: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10
    service_name: str = "hyperinfer"
    gzip: bool = False
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0

    @property
    def url(self) -> str:
        """Where spans are sent. Raises `ConfigError` for what is no address, or tells a password."""
        parts = _address(self.endpoint)
        if parts is None:
            raise ConfigError(
                "tracing.endpoint: write it as http://127.0.0.1:4318, where an OTLP collector takes HTTP.",
                path="tracing.endpoint",
            )
        if "@" in parts.netloc:
            raise ConfigError(
                "tracing.endpoint holds a user or a password: put them into tracing.headers, as authorization.",
                path="tracing.endpoint",
            )
        bare = self.endpoint.rstrip("/")
        return bare if bare.endswith(PATH) else bare + PATH

    @property
    def sent_headers(self) -> dict[str, str]:
        """`headers` by name. Raises `ConfigError` without showing what they hold."""
        found: dict[str, str] = {}
        for item in filter(None, map(str.strip, self.headers.split(","))):
            name, equals, value = (part.strip() for part in item.partition("="))
            value = unquote(value)
            if not equals or not name or not (name + value).isprintable() or not name.isascii():
                raise ConfigError(
                    "tracing.headers: write them as name=value,name=value, with %XX for what is special.",
                    path="tracing.headers",
                )
            found[name.lower()] = value
        return found


def _address(url: str) -> SplitResult | None:
    """The parts of a server's address; `None` for what is none."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_address and not parts.query and not parts.fragment else None
