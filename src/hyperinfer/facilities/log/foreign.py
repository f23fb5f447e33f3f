"""What other libraries log: where, how grave and by which pattern; never what they filled it in with."""

import logging
import re
from typing import Any

from hyperinfer.facilities import labels
from hyperinfer.facilities.log import tracebacks
from hyperinfer.facilities.log.calls import timestamp
from hyperinfer.facilities.log.fields import number, shown
from hyperinfer.facilities.log.redaction import HIDDEN, without_secrets

MAX_CHARS = 200
WARNINGS = "py.warnings"
WARNING = re.compile(r"(?P<place>[^\n]{1,300}?:\d+): (?P<kind>\w+): ")
"""As the `warnings` module writes them."""
PLAIN_BEGINNING = frozenset({"asyncio"})
"""Loggers whose messages begin with plain words, such as *Task exception was never retrieved*; then comes what it is about."""
PLAIN = re.compile(r"[A-Za-z .,-]*")
SAID = "library_says"


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """A record as a line of ours."""
    error = tracebacks.current(record.exc_info)
    now = labels.of(error)
    event = {
        "timestamp": timestamp(record.created),
        "level": record.levelname.lower(),
        "event": SAID,
        "worker": now.worker,
        "request_id": now.request_id or None,
        "trace_id": now.trace_id,
        "logger": record.name,
        "place": f"{record.filename}:{record.lineno}",
        "exception": None if error is None else tracebacks.told(error),
    }
    if record.name == WARNINGS:
        event |= _warning(record)
    found = shown({name: value for name, value in event.items() if value not in (None, "")})
    return found | {"text": without_secrets(_text(record))}


def _text(record: logging.LogRecord) -> str:
    """The pattern of a message, with numbers in it and nothing else. A message that is no pattern may be made of anything."""
    pattern = str(record.msg).partition("\n")[0][:MAX_CHARS]
    if record.name in PLAIN_BEGINNING and (words := PLAIN.match(pattern)):
        return words.group().strip()
    if not record.args or record.name == WARNINGS:
        return HIDDEN
    values = record.args if isinstance(record.args, tuple) else ()
    try:
        return (pattern % tuple(number(value) for value in values)) if values else pattern
    except (TypeError, ValueError):
        return pattern


def _warning(record: logging.LogRecord) -> dict[str, Any]:
    found = WARNING.match(record.getMessage())
    return {"place": found["place"].rpartition("/")[2], "kind": found["kind"]} if found else {}
