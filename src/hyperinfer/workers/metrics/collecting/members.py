"""Whom the metrics worker asks: every member of the swarm, by a name that no other has."""

from collections.abc import Mapping
from dataclasses import dataclass

from hyperinfer.kernel.members import Members

MAX_WORKERS = 1000
"""So many are asked at most, those with the lowest keys."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A member. `wtype` is its role, the first one if it has several."""

    key: bytes
    name: str
    roles: tuple[str, ...]

    @property
    def wtype(self) -> str:
        """What it is."""
        return self.roles[0] if self.roles else ""


def asked(members: Members) -> Mapping[bytes, Asked]:
    """Every member that is not revoked, by key, in the order of their names."""
    keys = sorted(members.keys)[:MAX_WORKERS]
    found = [Asked(key, members.names[key], tuple(sorted(members.roles(key)))) for key in keys]
    return {one.key: one for one in sorted(found, key=lambda one: one.name)}
