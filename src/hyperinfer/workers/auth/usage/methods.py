"""Auth's methods on usage: gateways deliver records, and pass on what people ask; the metrics worker asks for sums."""

from collections.abc import Sequence
from typing import Any

from hyperinfer.contracts import usage as contract
from hyperinfer.contracts.acting import As, at_auth
from hyperinfer.contracts.method import Method
from hyperinfer.contracts.reports import SUM_USAGE, SumUsage, UsageSummary
from hyperinfer.contracts.usage import Recorded, RecordUsage, RequestQuery, Requests, UsageQuery, UsageReport
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.origin import origin_of
from hyperinfer.workers.auth.usage.parts import UsageParts
from hyperinfer.workers.auth.usage.reach import EVERYBODY, Reach, reach_of


def usage_routes(usage: UsageParts, actors: Actors) -> Sequence[Route]:
    """`recordUsage`, the reports for people and for administrators, and `sumUsage`."""

    async def reach(request: As[Any], call: Call, method: Method[Any, Any]) -> Reach:
        """What somebody may see by this method, as auth itself knows them now."""
        async with actors.read(origin_of(call, request.actor), method) as (_, acting):
            return reach_of(acting) if method.access.kind == "user" else EVERYBODY

    async def record(request: RecordUsage, call: Call) -> Recorded:
        return await usage.ledger.record(request.records, gateway=call.caller.hex())

    async def own_usage(request: As[UsageQuery], call: Call) -> UsageReport:
        return await usage.reports.of(request.wanted, await reach(request, call, contract.GET_USAGE))

    async def own_requests(request: As[RequestQuery], call: Call) -> Requests:
        return await usage.requests.of(request.wanted, await reach(request, call, contract.LIST_REQUESTS))

    async def all_usage(request: As[UsageQuery], call: Call) -> UsageReport:
        return await usage.reports.of(request.wanted, await reach(request, call, contract.GET_ALL_USAGE))

    async def all_requests(request: As[RequestQuery], call: Call) -> Requests:
        return await usage.requests.of(request.wanted, await reach(request, call, contract.LIST_ALL_REQUESTS))

    async def summary(request: SumUsage, _call: Call) -> UsageSummary:
        return await usage.summaries.of(request)

    return (
        route(contract.RECORD_USAGE, record),
        route(at_auth(contract.GET_USAGE), own_usage),
        route(at_auth(contract.LIST_REQUESTS), own_requests),
        route(at_auth(contract.GET_ALL_USAGE), all_usage),
        route(at_auth(contract.LIST_ALL_REQUESTS), all_requests),
        route(SUM_USAGE, summary),
    )
