"""The base worker: what the kernel lends a worker, and what a worker gives back."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Identity
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.tracing import Tracer
from hyperinfer.kernel.calls import Authenticate, Caller, Route
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.observation import Observation
from hyperinfer.kernel.paths import Paths
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.swarm import SwarmKeys

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

S = TypeVar("S", bound=WorkerSettings)


@dataclass(frozen=True, slots=True)
class Context(Generic[S]):
    """What the kernel lends a worker while it runs: its settings, identity, folders and facilities.

    `service(name)` is a contract served by any member that announces the name, found over the swarm and trusted by
    the member list; `peer(key)` one served by a certain peer. `swarm` is nobody's but this process's where the machine belongs
    to none.
    """

    wtype: str
    settings: S
    identity: Identity
    paths: Paths
    peers: Peers
    members: Members
    swarm: SwarmKeys
    clock: Clock
    registry: CollectorRegistry
    observation: Observation
    tracer: Tracer | None
    log: structlog.stdlib.BoundLogger
    service: Callable[[str], Caller]
    peer: Callable[[bytes], Caller]


def no_reasons() -> Sequence[str]:
    """Nothing stands in the way of serving."""
    return ()


def nothing() -> None:
    """Nothing is to be done then."""


class Invited(Protocol):
    """Keys that may connect although they are no member's, to do what an invite allows; they come and go."""

    @property
    def keys(self) -> frozenset[bytes]:
        """These keys now."""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Be told of every change."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a worker gives back once it runs.

    `announces` are the names it is found under; `open_to_all` lets any peer connect (the gateway alone), otherwise
    members only, and whom auth has `invited`. `not_ready` says in sentences why it cannot serve now. `addresses` are
    URLs that it serves, by name. `on_serving` is called once it is answered and found, `on_drain` when draining begins, before
    running calls are waited for. `metrics_text` is what it shows as its metrics to all but metrics workers, where that is more than
    its own registry; `observe_routes` are further routes of its own port, under which it shows metrics.
    """

    routes: Sequence[Route]
    announces: tuple[str, ...] = ()
    open_to_all: bool = False
    authenticate: Authenticate | None = None
    invited: Invited | None = None
    not_ready: Callable[[], Sequence[str]] = no_reasons
    on_serving: Callable[[], None] = nothing
    on_drain: Callable[[], None] = nothing
    metrics_text: Callable[[], bytes] | None = None
    observe_routes: "Sequence[BaseRoute]" = ()
    addresses: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerType(Generic[S]):
    """One type of worker: its name, its settings, and an async context manager that runs it.

    `open` gets the context and a way to serve its own contract in-process (`Caller` of its own dispatcher, usable as
    soon as the service has been yielded). What it opened it closes on leaving, in reverse order.
    An `outsider` needs no swarm: it runs on machines that belong to none, and where there is one it need not be a member.
    """

    name: str
    settings: type[S]
    observe_port: int
    open: Callable[[Context[S], Caller], AbstractAsyncContextManager[Service]]
    outsider: bool = False
