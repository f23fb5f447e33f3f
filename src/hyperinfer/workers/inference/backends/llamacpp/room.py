"""Room for a model: which others have to leave memory before it can be loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

RESERVE_BYTES = 256 * 1024 * 1024
"""What is left to everything else on the machine."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A model in memory: what it takes, when its last request ended, and whether it may be asked to leave."""

    name: str
    memory_bytes: int
    used_at_s: float
    may_leave: bool


def leaving(
    tenants: Sequence[Tenant], *, needed_bytes: int, available_bytes: int, at_most: int
) -> tuple[str, ...] | None:
    """Who has to leave for one more model, those first that were used least lately; `None` where all that may leave
    would not be enough. At most so many may be loaded at once, it included."""
    free = available_bytes - RESERVE_BYTES - needed_bytes
    count = len(tenants) + 1
    chosen = []
    for tenant in sorted(tenants, key=lambda tenant: tenant.used_at_s):
        if free >= 0 and count <= at_most:
            break
        if tenant.may_leave:
            chosen.append(tenant.name)
            free += tenant.memory_bytes
            count -= 1
    return tuple(chosen) if free >= 0 and count <= at_most else None
