"""Contracts within reach: this worker's own, a certain peer's, or any trusted member's that announces a name."""

from random import Random

from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import DriverLost, PeerUnreachable
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.swarm import SwarmKeys

ROLE_OF = {"processor": "inference"}
"""The role that a service name stands for, where it is not the name itself."""

ATTEMPTS = 3

_chance = Random()
"""Our own: what others seed is not to be moved by us, nor the other way round."""


class LocalCaller:
    """A worker's own contract, without encoding; access is checked as for anybody else."""

    def __init__(self, dispatcher: Dispatcher, own_key: bytes) -> None:
        self._dispatcher = dispatcher
        self._own_key = own_key

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of this worker."""
        reply: Reply = await self._dispatcher.dispatch(
            method, request, caller=self._own_key, meta=meta, timeout_s=timeout_s, send=sink
        )
        return reply


class PeerCaller:
    """The contract of one peer, by its public key."""

    def __init__(self, peers: Peers, key: bytes) -> None:
        self._peers = peers
        self._key = key

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of the peer."""
        return await self._peers.call(self._key, method, request, meta=meta, timeout_s=timeout_s, sink=sink)


class ServiceCaller:
    """The contract of any member that announces a service name; discovery finds it, the member list trusts it."""

    def __init__(self, name: str, *, peers: Peers, members: Members, swarm: SwarmKeys) -> None:
        self._name = name
        self._role = ROLE_OF.get(name, name)
        self._peers = peers
        self._members = members
        self._topic = swarm.topic(name)

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of one such member; another is tried only where the first could not be reached at all.

        Raises `PeerUnreachable` if there is none.
        """
        tried: set[bytes] = set()
        for _ in range(ATTEMPTS):
            found = await self._peers.find(self._topic)
            trusted = [key for key in found if self._role in self._members.roles(key) and key not in tried]
            if not trusted:
                break
            key = _chance.choice(trusted)
            tried.add(key)
            try:
                return await self._peers.call(key, method, request, meta=meta, timeout_s=timeout_s, sink=sink)
            except DriverLost:
                raise
            except PeerUnreachable:
                continue
        raise PeerUnreachable(f"No {self._name} worker of this swarm can be reached now.", service=self._name)
