"""Settings that every worker has. A worker's own are in its `config.py`, as a subclass of `WorkerSettings`."""

from typing import Literal

import msgspec

from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.tracing import TracingSettings
from hyperinfer.kernel.settings_tree import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every settings struct: frozen, and an unknown key is an error."""


class SwarmSettings(Settings, frozen=True):
    """Where this machine keeps what it knows of its swarm.

    `dir` holds `swarm.key`, `members.json` and, where auth lives, `root.key`; empty means `swarm` beside the workers'
    data.
    """

    dir: str = ""


class LogSettings(Settings, frozen=True):
    """What is logged, and where to. `format` is `auto` (readable on a terminal, JSON otherwise), `text` or `json`. `requests` has
    each call of somebody's leave a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    dir: str = "logs"
    requests: bool = True


class ObserveSettings(Settings, frozen=True):
    """The worker's own port with `/metrics`, `/healthz` and `/readyz`.

    `port` left out takes the type's default, or the next free one; a port that is set must be free. 0 takes any. With a `token`,
    metrics are shown to whoever sends it as `Authorization: Bearer …`; without one, while `host` is this machine's alone.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int | None = None
    token: Secret | None = None


class HttpSettings(Settings, frozen=True):
    """An HTTP server. `hosts` are further names that a `Host` header may have; loopback names, the bound address and the
    certificate's names are always accepted. A `port` that is set must be free; left out, the first free one from
    `first_port` on is taken, and said.

    `origins` are pages of other sites that may call with a key in a header, such as `https://app.example`; `*` is any page.
    `tls_certificate` and `tls_key` are PEM files, relative to the working directory; with them it is HTTPS. Of the proxies
    at the addresses or in the networks of `trusted_proxies`, `X-Forwarded-For` and `-Proto` are believed.
    `secure_cookies` keeps session cookies to HTTPS, for a server behind a proxy that ends TLS and does not say so.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    first_port: int = 3002
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    max_body_bytes: int = 8 * 1024 * 1024
    max_connections: int = 2000
    secure_cookies: bool = False


class WorkerSettings(Settings, frozen=True):
    """What every worker can be told. Times in seconds.

    `data_dir`, `status_dir` are relative to the working directory; with a rack, folders are named `<wtype>-<rack>`.
    """

    data_dir: str = "data"
    status_dir: str = "status"
    drain_s: float = 30.0
    net: NetSettings = NetSettings()
    swarm: SwarmSettings = SwarmSettings()
    log: LogSettings = LogSettings()
    observe: ObserveSettings = ObserveSettings()
    tracing: TracingSettings = TracingSettings()
