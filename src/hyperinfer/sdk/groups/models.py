"""What the swarm runs: `client.models`, and for administrators `client.admin.models`."""

import msgspec

from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.replies import Model, Placed, SwarmWorker

PLACES = "/api/admin/models"
LOAD_TIMEOUT_S = 630.0
"""A little longer than the gateway gives its workers."""


class _Models(msgspec.Struct, frozen=True):
    models: tuple[Model, ...]


class _Workers(msgspec.Struct, frozen=True):
    workers: tuple[SwarmWorker, ...]


class _Placings(msgspec.Struct, frozen=True):
    workers: tuple[Placed, ...]


class Models:
    """Models and the workers that run them. They take what models are asked with: an API key, or a session."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> tuple[Model, ...]:
        """The models that the swarm serves now, and aliases of them."""
        return (await self._calls.get("/api/models", _Models)).models

    async def workers(self) -> tuple[SwarmWorker, ...]:
        """The inference workers that the gateway knows, each with its models."""
        return (await self._calls.get("/api/workers", _Workers)).workers


class PlacedModels:
    """Which models are in workers' memory."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def load(self, model: str, *, worker: str = "") -> tuple[Placed, ...]:
        """Load a model, at one worker (its key) or at all that have it; what came of it at each, once it is ready."""
        return await self._place("load", model, worker)

    async def unload(self, model: str, *, worker: str = "") -> tuple[Placed, ...]:
        """Give a model's memory back, at one worker or at all that have it; what runs is let end."""
        return await self._place("unload", model, worker)

    async def _place(self, what: str, model: str, worker: str) -> tuple[Placed, ...]:
        path = f"{PLACES}/{what}"
        placed = await self._calls.send_long(path, _Placings, timeout_s=LOAD_TIMEOUT_S, model=model, worker=worker)
        return placed.workers
