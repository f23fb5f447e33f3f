"""Asking every worker for its lines, at once or for as long as somebody follows."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from hyperinfer.contracts.logs import GATHER_LOGS, READ_LOGS, LogPage, LogQuery
from hyperinfer.contracts.metrics import at_metrics
from hyperinfer.errors import HyperinferError, NotFound, Overloaded
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call, Caller, Route, route
from hyperinfer.kernel.members import Members
from hyperinfer.workers.metrics.collecting.members import Asked, asked
from hyperinfer.workers.metrics.gathering.following import Following
from hyperinfer.workers.metrics.gathering.lines import Stamped, merged, stamped, why

ASK_S = 8.0
"""How long a worker may take to look through its files."""
AT_ONCE = 32
MAX_FOLLOWERS = 16
_encoder = msgspec.json.Encoder()


class Gathering:
    """Asks every member for its lines."""

    def __init__(self, members: Members, *, peer: Callable[[bytes], Caller], clock: Clock) -> None:
        self._members = members
        self._peer = peer
        self._clock = clock
        self._following: set[Following] = set()

    def routes(self) -> Sequence[Route]:
        """Its one method: administrators ask it by gateways."""
        return (route(at_metrics(GATHER_LOGS), self.gather),)

    def end(self) -> None:
        """Let those go who follow: the worker is stopping."""
        for following in self._following:
            following.end()

    async def gather(self, query: LogQuery, call: Call) -> LogPage:
        """The newest lines that a query wants; in the reply, or for a stream in pages, followed by those that come.

        Raises `NotFound` if it names a worker that there is not.
        """
        if query.follow:
            return await self._follow(query, call)
        page = await self._newest(replace(query, worker=None), self._whom(query.worker))
        if call.send is None:
            return page
        await call.send([_encoder.encode(page)])
        return LogPage(missing=page.missing)

    def _whom(self, name: str | None) -> Mapping[bytes, Asked]:
        """The member of that name, or those of that role; without one, all."""
        everyone = asked(self._members)
        if not name:
            return everyone
        named = {key: one for key, one in everyone.items() if one.name == name or key.hex() == name}
        found = named or {key: one for key, one in everyone.items() if name in one.roles}
        if not found:
            raise NotFound(
                "The swarm has no worker of that name. `hyperinfer members list` names them.", param="worker"
            )
        return found

    async def _newest(self, query: LogQuery, whom: Mapping[bytes, Asked]) -> LogPage:
        missing: dict[str, str] = {}
        turns = asyncio.Semaphore(AT_ONCE)

        async def lines_of(one: Asked) -> list[Stamped]:
            async with turns:
                try:
                    async with asyncio.timeout(ASK_S):
                        page = await self._peer(one.key).call(READ_LOGS, query, timeout_s=ASK_S)
                except (HyperinferError, TimeoutError) as error:
                    missing[one.name] = why(error)
                    return []
            return stamped(one.name, page.lines)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(lines_of(one)) for one in whom.values()]
        lines = merged(task.result() for task in tasks)[-query.limit :]
        return LogPage(lines=tuple(Raw(line) for line in lines), missing=missing)

    async def _follow(self, query: LogQuery, call: Call) -> LogPage:
        if len(self._following) >= MAX_FOLLOWERS:
            raise Overloaded("Too many follow the swarm's logs already.", retry_after_s=30)
        self._whom(query.worker)
        following = Following(query, lambda: self._whom(query.worker), self._peer, self._clock, deadline=call.deadline)
        self._following.add(following)
        try:
            return LogPage(missing=await following.run(call.stream))
        finally:
            self._following.discard(following)
