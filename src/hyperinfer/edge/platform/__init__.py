"""The platform's own REST API and the original interface, one file for each group of routes."""

from collections.abc import Sequence

from hyperinfer.edge.operations import Group
from hyperinfer.edge.platform import (
    account,
    administration,
    audit,
    inference,
    keys,
    observing,
    original,
    reports,
    sessions,
    swarm,
    usage,
)


def groups(*, inference_timeout_s: float) -> Sequence[Group]:
    """Every group, in the order in which they are read."""
    return (
        sessions.GROUP,
        keys.GROUP,
        account.GROUP,
        usage.GROUP,
        inference.group(timeout_s=inference_timeout_s),
        swarm.GROUP,
        administration.GROUP,
        audit.GROUP,
        observing.GROUP,
        reports.GROUP,
        original.group(timeout_s=inference_timeout_s),
    )
