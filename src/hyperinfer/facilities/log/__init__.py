"""The log facility: structlog and the standard library's loggers, to standard error and to files of bounded size.

What is logged passes `fields.shown`, which shows what is declared and nothing else; see there. The calls that workers answer are told
to the same writer by `tell`, so that one request's lines can be found in all workers that it has touched.
"""

from hyperinfer.facilities.log.redaction import HIDDEN
from hyperinfer.facilities.log.setup import (
    Format,
    Level,
    Log,
    apart,
    configure,
    current,
    flush,
    joined,
    log_as_library,
    log_for_a_command,
    stop,
    tell,
)

__all__ = [
    "HIDDEN",
    "Format",
    "Level",
    "Log",
    "apart",
    "configure",
    "current",
    "flush",
    "joined",
    "log_as_library",
    "log_for_a_command",
    "stop",
    "tell",
]
