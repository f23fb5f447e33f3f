"""The fields that a log may have: each is declared here with the kind of thing it holds, and what is of no kind is not shown.

This is how secrets stay out: a field is shown because somebody has said what it is, never because nothing looked wrong with it. A
field that is not declared is `[hidden]`, and so is a value that is not of its field's kind. A prompt has no kind.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from hyperinfer.facilities.labels import is_request_id
from hyperinfer.facilities.log import tracebacks
from hyperinfer.facilities.log.redaction import HIDDEN, without_secrets

Show = Callable[[Any], Any]
"""What is shown of a value: itself, some of it, or `[hidden]`."""

MAX_FIELDS = 40
MAX_NAMES = 100
NAME = re.compile(r"[\w.:@/+,=()~-]+(?: [\w.:@/+,=()~-]+){0,5}")
MAX_NAME_CHARS = 200
ROUTE = re.compile(r"none|(?:/(?:[\w.:-]*|\{[\w:]+\}))+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]{5,15}(?:Z|[+-]\d\d:\d\d)?")
MAX_SENTENCE_CHARS = 400
MAX_PATH_CHARS = 500
QUOTED = re.compile(r"""(?<!\w)(["'])(?:(?!\1).)*(?:\1(?!\w)|$)""")
"""What a sentence of ours quotes is somebody else's, such as the name of a model that there is not. Not commands, in `backticks`."""
FRAME = re.compile(r"\s*at (?:[\w.<>\[\] ]+ )?\(?[\w./:@\\ -]+:\d+:\d+\)?|\w*(?:Error|Exception)(?: \[\w+\])?(?=:|$)")


def number(value: Any) -> Any:
    """A count, a size, a time, a yes or a no."""
    return value if value is None or isinstance(value, bool | int | float) else HIDDEN


def name(value: Any) -> Any:
    """A name of ours or an operator's (a method, a state, a code, a model that a worker has), a key in hexadecimal, or several."""
    if isinstance(value, str):
        return _name(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [name(one) for one in sorted(value, key=str)[:MAX_NAMES]]
    return number(value)


@lru_cache(2048)
def _name(value: str) -> str:
    is_name = not value or (len(value) <= MAX_NAME_CHARS and NAME.fullmatch(value) is not None)
    return without_secrets(value) if is_name else HIDDEN


def label(value: Any) -> Any:
    """What a caller calls a request."""
    return without_secrets(value) if isinstance(value, str) and is_request_id(value) else HIDDEN


def moment(value: Any) -> Any:
    """A time, as RFC 3339 has it."""
    return value if isinstance(value, str) and MOMENT.fullmatch(value) else HIDDEN


def path(value: Any) -> Any:
    """A file or folder of this machine."""
    text = str(value) if isinstance(value, str | PurePath) else ""
    return without_secrets(text) if text.isprintable() and 0 < len(text) <= MAX_PATH_CHARS else HIDDEN


def route(value: Any) -> Any:
    """A route as the table of routes calls it, with the names of its parts in braces: never a path that a client wrote."""
    is_route = isinstance(value, str) and len(value) <= MAX_NAME_CHARS and ROUTE.fullmatch(value) is not None
    return without_secrets(value) if is_route else HIDDEN


def url(value: Any) -> Any:
    """An address of ours: scheme, host, port and path, and nothing that may be a credential."""
    try:
        parts = urlsplit(value)
        where = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except (ValueError, TypeError, AttributeError):
        return HIDDEN
    return without_secrets(f"{parts.scheme}://{where}{parts.path}") if parts.scheme else HIDDEN


def sentence(value: Any) -> Any:
    """A sentence of ours, such as an error's message, without what it quotes."""
    if value is None or not isinstance(value, str):
        return number(value)
    text = QUOTED.sub("'…'", " ".join(value[: 2 * MAX_SENTENCE_CHARS].split()))
    text = "".join(char for char in text if char.isprintable())
    return without_secrets(text if len(text) <= MAX_SENTENCE_CHARS else text[: MAX_SENTENCE_CHARS - 1] + "…")


def failure(value: Any) -> Any:
    """What kind of error came up; what it says is not known to be harmless."""
    return tracebacks.named(value) if isinstance(value, BaseException) else HIDDEN


def frames(value: Any) -> Any:
    """Where another program says that it failed: names of errors and places in its source, not the rest."""
    if not isinstance(value, str):
        return HIDDEN
    found = [match.group().strip() for line in value.splitlines()[:MAX_NAMES] if (match := FRAME.match(line))]
    return without_secrets("\n".join(found)) or HIDDEN


def trace(value: Any) -> Any:
    """A traceback as `facilities.log.tracebacks` writes it."""
    return value if isinstance(value, str) else HIDDEN


def _each(show: Show, *names: str) -> dict[str, Show]:
    return dict.fromkeys(names, show)


FIELDS: Mapping[str, Show] = {
    **_each(moment, "timestamp", "at"),
    **_each(name, "level", "event", "logger", "worker", "trace_id"),
    **_each(label, "request_id"),
    **_each(trace, "exception"),
    # calls, and what their handlers note
    **_each(name, "method", "status", "model", "kind", "asked", "finish", "cache", "by"),
    **_each(route, "route"),
    **_each(number, "duration_ms", "queued_ms", "first_token_ms", "prompt_tokens", "completion_tokens"),
    **_each(number, "attempts", "resumed", "streamed", "estimated"),
    # what there is, and how it stands
    **_each(
        name, "name", "names", "models", "roles", "key", "key_id", "id", "auth", "member", "invite", "backend", "of"
    ),
    **_each(name, "state", "action", "outcome", "setting", "tier", "package", "signal", "version", "wanted", "place"),
    **_each(name, "wtype", "host", "form", "report", "alert", "rule", "severity", "receiver"),
    **_each(
        number, "available", "count", "lines", "members", "records", "waiting", "most", "seq", "row", "pid", "workers"
    ),
    **_each(number, "restarts", "threads", "percent", "calls_cut", "forgotten", "told", "failed", "context_tokens"),
    **_each(number, "needed_mb", "size_mb", "unused_s", "took_s", "away_s", "pause_s", "restart_in_s", "round_trip_ms"),
    **_each(number, "rows", "part", "requests", "minutes", "recipients"),
    **_each(path, "path", "file", "kept_as", "certificate"),
    **_each(url, "url", "http", "observe"),
    # why, and what to do
    **_each(sentence, "reason", "why", "do", "consequence", "until", "text"),
    **_each(failure, "error"),
    **_each(frames, "stack"),
}
"""What may be shown, by name. A name means the same thing wherever it is logged."""


def shown(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as it may be read: each field of the table as its kind shows it, the names of others, and their values never."""
    found: dict[str, Any] = {}
    for field, value in list(event.items())[:MAX_FIELDS]:
        show = FIELDS.get(field)
        found[field] = show(value) if show is not None else HIDDEN
    return found
