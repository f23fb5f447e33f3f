"""hyperinfer turns the machines you already have into one private AI API."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    """The client library, loaded when it is asked for: a worker or `hyperinfer --help` never pays for it."""
    if name in ("AsyncClient", "Client"):
        return getattr(importlib.import_module("hyperinfer.sdk"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
