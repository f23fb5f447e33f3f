"""Where an operation comes from: on whose behalf, through which gateway, from which address."""

from dataclasses import dataclass

from hyperinfer.contracts.acting import Actor
from hyperinfer.kernel.calls import Call

MAX_REMOTE = 64
MAX_REQUEST_ID = 128


@dataclass(frozen=True, slots=True)
class Origin:
    """`actor` is there for what a person asks; `gateway` is the hex key of the peer that passed it on, or `local`."""

    actor: Actor | None = None
    remote: str = ""
    gateway: str = "local"
    request_id: str | None = None


LOCAL = Origin()
"""Done on the machine itself, by whoever may write to the data folder."""


def origin_of(call: Call, actor: Actor | None = None) -> Origin:
    """The origin of what a gateway asks."""
    meta = call.meta
    return Origin(
        actor=actor,
        remote=(meta.remote or "")[:MAX_REMOTE],
        gateway=call.caller.hex(),
        request_id=meta.request_id[:MAX_REQUEST_ID] if meta.request_id else None,
    )
