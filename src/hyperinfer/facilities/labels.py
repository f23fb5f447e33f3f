"""What is under way here, as the log and the traces call it: set round each call, inherited by the tasks that it makes."""

import re
import secrets
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

REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""What a caller may call a request: one word that every log and header can hold."""
MARK = "_hyperinfer_labels"


def is_request_id(given: str | None) -> bool:
    """Whether a caller's name for a request can be kept."""
    return given is not None and REQUEST_ID.fullmatch(given) is not None


def new_request_id() -> str:
    """A name for a request whose caller has given it none."""
    return f"req_{secrets.token_hex(12)}"


def mark(error: BaseException, labels: Labels) -> None:
    """Note during which call an error was raised, for whoever logs it after that call has ended. The innermost call counts."""
    if not hasattr(error, MARK):
        setattr(error, MARK, labels)


def of(error: BaseException | None) -> Labels:
    """The labels of the call in which an error was raised, else those of what this task does."""
    labels: Labels | None = getattr(error, MARK, None)
    return labels or CURRENT.get()
