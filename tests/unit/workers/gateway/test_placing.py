"""Loading and unloading: written to the audit log before anything is done."""

from typing import Any

import pytest

from hyperinfer.contracts.audit import Operation
from hyperinfer.contracts.gateway import PlaceModel
from hyperinfer.contracts.method import NO_META
from hyperinfer.errors import Unavailable
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.fleet import ADA, ChoosingScene, model
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.workers.gateway.placing import Placing

CALL = Call(caller=b"", roles=frozenset(), meta=NO_META, deadline=60.0, who=ADA)


async def test_what_cannot_be_noted_is_not_done() -> None:
    scene, at_worker = ChoosingScene(), FakeGateway(loadModel=always(model()))
    scene.fleet.add(model()).caller = at_worker
    noted: list[Operation] = []
    is_away = True

    async def note(operation: Operation, _call: Call) -> None:
        if is_away:
            raise Unavailable("Accounts cannot be reached now.")
        assert at_worker.calls == []
        noted.append(operation)

    fleet: Any = scene.fleet
    placing = Placing(fleet, scene.catalogue, scene.clock, note=note)
    with pytest.raises(Unavailable):
        await placing.load(PlaceModel(model="m"), CALL)
    assert at_worker.calls == []
    is_away = False
    placed = await placing.load(PlaceModel(model="m"), CALL)
    assert [one.error for one in placed.workers] == [""]
    assert noted == [Operation(action="model.load_ordered", details={"model": "m", "workers": "1"})]
