"""Where something failed, and with what kind of error: never what the error says, nor what was in its variables.

The text of an exception of somebody else's may hold anything, a prompt or a key that a library choked on; and one of ours may quote
what a person sent.
"""

import errno
import sys
import traceback
from types import TracebackType

from hyperinfer.errors import HyperinferError

MAX_FRAMES = 30
MAX_ERRORS = 20
CAUSED = "\nThe direct cause of:\n"
DURING = "\nWhile it was handled came:\n"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def current(exc_info: object) -> BaseException | None:
    """The exception that a line is logged with, however that was said: `True` is the one being handled."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) == 3 and isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


def named(error: BaseException) -> str:
    """The kind of an error and its code, such as `ModelNotFound [MODEL_NOT_FOUND]` or `FileNotFoundError [ENOENT]`."""
    kind = type(error).__name__
    if isinstance(error, HyperinferError):
        return f"{kind} [{error.code}]"
    if sqlite := getattr(error, "sqlite_errorname", ""):
        return f"{kind} [{sqlite}]"
    code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{kind} [{code}]" if code else kind


def place(error: BaseException) -> str:
    """Where an error was raised, such as `dispatch.py:120`; empty if nowhere."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""


def told(error: BaseException) -> str:
    """An error's traceback: places and kinds, those of its causes first."""
    return "".join(_chain(error, [MAX_ERRORS])).rstrip("\n")


def _chain(error: BaseException, left: list[int]) -> list[str]:
    left[0] -= 1
    if left[0] < 0:
        return []
    lines: list[str] = []
    if error.__cause__ is not None:
        lines += [*_chain(error.__cause__, left), CAUSED]
    elif error.__context__ is not None and not error.__suppress_context__:
        lines += [*_chain(error.__context__, left), DURING]
    frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    lines += [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n' for frame in frames]
    lines.append(f"{named(error)}\n")
    if isinstance(error, BaseExceptionGroup):
        for at, inner in enumerate(error.exceptions, 1):
            lines += [f"\nOf these, number {at}:\n", *_chain(inner, left)]
    return lines
