"""Loading and unloading models at workers, for administrators."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import structlog

from hyperinfer.contracts.audit import Operation
from hyperinfer.contracts.gateway import Placed, PlaceModel, Placings
from hyperinfer.contracts.inference import LOAD_MODEL, UNLOAD_MODEL, ModelStatus, OfModel
from hyperinfer.contracts.method import Meta, Method
from hyperinfer.errors import BadRequest, DeadlineExceeded, HyperinferError, ModelNotFound, NotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.protocol.model_names import listed
from hyperinfer.workers.gateway.catalogue import Catalogue
from hyperinfer.workers.gateway.fleet import Fleet
from hyperinfer.workers.gateway.offers import Offer
from hyperinfer.workers.gateway.permissions import check_name

ANSWER_S = 0.5
"""What is kept of a call's time for saying what has come of it: a worker that is too slow does not hide the others."""

Note = Callable[[Operation, Call], Awaitable[None]]
"""Has something written to the audit log. Raises `Unavailable`."""
ACTIONS: Mapping[str, Literal["model.load_ordered", "model.unload_ordered"]] = {
    LOAD_MODEL.name: "model.load_ordered",
    UNLOAD_MODEL.name: "model.unload_ordered",
}

log = structlog.get_logger(__name__)


class Placing:
    """Has workers load and unload models, all at once, once it is in the audit log; what each makes of it is in the reply."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue, clock: Clock, *, note: Note) -> None:
        self._fleet = fleet
        self._catalogue = catalogue
        self._clock = clock
        self._note = note

    async def load(self, request: PlaceModel, call: Call) -> Placings:
        """Have a model made ready. Raises `BadRequest`, `ModelNotFound`, `NotFound` for a worker that is not there."""
        return await self._place(LOAD_MODEL, request, call)

    async def unload(self, request: PlaceModel, call: Call) -> Placings:
        """Have a model's memory given back. Raises as `load`."""
        return await self._place(UNLOAD_MODEL, request, call)

    async def _place(self, method: Method[OfModel, ModelStatus], request: PlaceModel, call: Call) -> Placings:
        offers = self._offers(request)
        details = {"model": offers[0].status.name, "workers": str(len(offers))}
        if request.worker:
            details["worker"] = offers[0].worker.hex
        await self._note(Operation(action=ACTIONS[method.name], details=details), call)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._place_at(method, offer, call)) for offer in offers]
        placings = Placings(workers=tuple(task.result() for task in tasks))
        log.info(
            "model_placed",
            action=method.name,
            model=offers[0].status.name,
            by=call.principal.user_id,
            workers=len(placings.workers),
            failed=sum(bool(placed.error) for placed in placings.workers),
        )
        return placings

    async def _place_at(self, method: Method[OfModel, ModelStatus], offer: Offer, call: Call) -> Placed:
        worker = offer.worker
        meta = Meta(request_id=call.meta.request_id, traceparent=call.meta.traceparent)
        timeout_s = call.deadline - self._clock.monotonic() - ANSWER_S
        try:
            if timeout_s <= 0:
                raise DeadlineExceeded("There was no time left to ask it.")
            status = await worker.caller.call(method, OfModel(model=offer.status.name), meta=meta, timeout_s=timeout_s)
        except HyperinferError as error:
            return Placed(worker=worker.hex, error=error.message)
        return Placed(worker=worker.hex, status=status)

    def _offers(self, request: PlaceModel) -> Sequence[Offer]:
        """What the request is about, at workers that are there."""
        check_name(request.model)
        names = self._catalogue.resolve(request.model)
        if len(names) > 1:
            raise BadRequest(f"{request.model!r} stands for several models: {listed(names)}. Name one.", param="model")
        there = [worker for worker in self._fleet.workers if worker.live]
        if request.worker:
            there = [worker for worker in there if worker.hex == request.worker.lower()]
            if not there:
                raise NotFound("No inference worker with this key is connected.", param="worker")
        offers = [worker.offers[names[0]] for worker in there if names[0] in worker.offers]
        if not offers:
            raise ModelNotFound(f"No worker that is connected has the model {names[0]!r}.", model=names[0])
        return offers
