"""The swarm in a few numbers, as a gateway sees it."""

import msgspec

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import AsyncClient, SystemHealth


class GatewaySeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of its swarm; `answers_in_ms` is one whole request, once it was reached. `system` is every worker, for
    administrators, where there is a metrics worker."""

    gateway: str
    answers_in_ms: float
    workers: int
    workers_ready: int
    models: int
    models_ready: int
    slots: int
    busy: int
    queued: int
    troubles: tuple[str, ...]
    system: SystemHealth | None = None


async def look(client: AsyncClient) -> GatewaySeen:
    """Ask it. Raises as the client does."""
    clock = SystemClock()
    models = [model for model in await client.models.list() if not model.answered_by]
    began = clock.monotonic()
    workers = await client.models.workers()
    answered = clock.monotonic()
    troubles = [
        *(f"{one.name or one.key[:12]} is {one.state}." for one in workers if one.state != "ready"),
        *(f"{one.name or one.key[:12]}: {model} keeps failing." for one in workers for model in one.broken),
        *(
            f"{one.name or one.key[:12]}: the backend {backend.name} is away."
            for one in workers
            for backend in one.backends
            if not backend.available
        ),
    ]
    running = [model for one in workers for model in one.models]
    return GatewaySeen(
        gateway=client.base_url,
        answers_in_ms=1000 * (answered - began),
        workers=len(workers),
        workers_ready=sum(one.state == "ready" for one in workers),
        models=len(models),
        models_ready=sum(model.state == "ready" for model in models),
        slots=sum(model.slots for model in running),
        busy=sum(model.busy for model in running),
        queued=sum(model.queued for model in running),
        troubles=tuple(troubles),
        system=await _system(client),
    )


async def _system(client: AsyncClient) -> SystemHealth | None:
    """Every worker, for whoever may see them; others, and swarms that nobody collects, do without."""
    try:
        return await client.admin.system()
    except HyperinferError:
        return None
