"""Where things are on this machine: worker types, their settings and their folders."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperinfer.errors import StartError
from hyperinfer.kernel import config
from hyperinfer.kernel.config import Loaded
from hyperinfer.kernel.paths import Paths, paths_of
from hyperinfer.kernel.settings import WorkerSettings

SETTINGS = {
    "auth": "AuthSettings",
    "gateway": "GatewaySettings",
    "inference": "InferenceSettings",
    "client": "ClientSettings",
    "metrics": "MetricsSettings",
}
"""The worker types that there are, and the name of each one's settings in its `config.py`."""

ALIASES = {"processor": "inference"}


def type_name(wtype: str) -> str:
    """The worker type that a name or an alias means."""
    return ALIASES.get(wtype, wtype)


def settings_type(wtype: str) -> type[WorkerSettings]:
    """A worker type's settings, without loading the worker itself."""
    kind: type[WorkerSettings] = getattr(importlib.import_module(f"hyperinfer.workers.{wtype}.config"), SETTINGS[wtype])
    return kind


def worker_type(wtype: str) -> Any:
    """A worker type, ready to be run."""
    if wtype == "client":
        from hyperinfer.cli.lent import lender
        from hyperinfer.workers.client.worker import client

        return client(lender=lender)
    return importlib.import_module(f"hyperinfer.workers.{wtype}.worker").WORKER


def load(
    wtype: str, *, env: str | None = None, file: Path | None = None, sets: Sequence[str] = (), base: Any = None
) -> Loaded[Any]:
    """A worker's settings. Raises `ConfigError`."""
    from hyperinfer.facilities.log import log_for_a_command

    log_for_a_command()  # what a command does with a worker's folders may be logged; what it prints is its own
    return config.load(wtype, settings_type(wtype), env=env, file=file, sets=sets, base=base)


def paths(loaded: Loaded[Any], rack: str | None = None) -> Paths:
    """A worker's folders."""
    return paths_of(loaded.wtype, loaded.settings, home=config.home(), rack=rack)


def swarm_folder() -> Path:
    """What this machine knows of its swarm."""
    return paths(load("auth")).swarm


def known_swarm() -> Path:
    """The same, where there is a swarm. Raises `StartError` if there is none."""
    from hyperinfer.kernel import swarm

    folder = swarm_folder()
    if not swarm.exists(folder):
        raise StartError(f"This machine belongs to no swarm ({folder} holds none). Run `hyperinfer swarm init`.")
    return folder
