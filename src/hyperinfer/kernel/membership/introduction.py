"""Introductions: a member shows its certificate to whoever knows the root key, and is held against it before it is trusted."""

from hyperinfer.contracts.membership import INTRODUCE, Introduction
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import NotFound, Untrusted
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call, Caller
from hyperinfer.kernel.members import Members
from hyperinfer.protocol import membership

TIMEOUT_S = 10.0


class Introducing:
    """Introduces one worker."""

    def __init__(self, members: Members, own_key: bytes) -> None:
        self._members = members
        self._own_key = own_key

    async def introduce(self, request: Nothing, call: Call) -> Introduction:
        """The worker's certificate. Raises `NotFound` where auth has signed none for it."""
        published = self._members.published
        certificate = published.certificates.get(self._own_key.hex()) if published else None
        if published is None or certificate is None:
            raise NotFound("This worker has no certificate to introduce itself by.")
        return Introduction(epoch=published.epoch, certificate=certificate)


async def introduced(peer: Caller, key: bytes, *, root: bytes, role: str, clock: Clock) -> None:
    """Have a peer introduce itself. To be called before any credential is sent to it.

    Raises `Untrusted` unless it is a member of the root key's swarm with this role, and the errors of the net.
    """
    shown = await peer.call(INTRODUCE, Nothing(), timeout_s=TIMEOUT_S)
    if not membership.is_introduced(shown, root=root, peer=key, role=role, now=clock.now()):
        raise Untrusted(f"The peer {key.hex()[:12]} says to be a {role} of this swarm and cannot prove it.")
