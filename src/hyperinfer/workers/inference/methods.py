"""The inference worker's methods."""

from collections.abc import Sequence

from hyperinfer.contracts import inference as contract
from hyperinfer.contracts.method import Nothing
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.inference.service import InferenceService


class InferenceMethods:
    """Thin handlers over the service."""

    def __init__(self, service: InferenceService) -> None:
        self._service = service

    def routes(self) -> Sequence[Route]:
        """Every method with its handler."""
        return (
            route(contract.PROCESS_REQUEST, self._service.process),
            route(contract.EMBED, self._service.embed),
            route(contract.LIST_MODELS, self.list_models),
            route(contract.COUNT_TOKENS, self._service.count),
            route(contract.MODEL_STATUS, self.model_status),
            route(contract.LOAD_MODEL, self.load_model),
            route(contract.UNLOAD_MODEL, self.unload_model),
            route(contract.WATCH_STATUS, self.watch_status),
        )

    async def list_models(self, request: Nothing, call: Call) -> contract.WorkerStatus:
        """Every model with its status."""
        return self._service.status()

    async def model_status(self, request: contract.OfModel, call: Call) -> contract.ModelStatus:
        """One model's status."""
        return self._service.model_status(request.model)

    async def load_model(self, request: contract.OfModel, call: Call) -> contract.ModelStatus:
        """Make a model ready."""
        return await self._service.load(request.model)

    async def unload_model(self, request: contract.OfModel, call: Call) -> contract.ModelStatus:
        """Give a model's memory back."""
        return await self._service.unload(request.model)

    async def watch_status(self, request: Nothing, call: Call) -> Nothing:
        """The status as it changes."""
        await self._service.watch(call.stream)
        return request
