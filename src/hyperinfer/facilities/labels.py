"""What is under way here, as the log and the traces call it: set round each call, inherited by the tasks that it makes."""

from contextvars import ContextVar

import msgspec


class Labels(msgspec.Struct, frozen=True):
    """The worker that answers a call, the request that led to it, and its trace; empty where there is none."""

    worker: str = ""
    request_id: str = ""
    trace_id: str = ""


NONE = Labels()

CURRENT: ContextVar[Labels] = ContextVar("hyperinfer_labels", default=NONE)
"""The labels of what this task does."""
