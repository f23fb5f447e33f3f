"""Lines for people: one each, the time first, every worker in a colour of its own."""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hyperinfer.facilities.log.calls import EVENT

SKIPPED = frozenset({"timestamp", "level", "event", "worker", "member", "logger", "exception", "trace_id", "stack"})
OF_CALL = frozenset(
    {"method", "status", "duration_ms", "model", "request_id", "prompt_tokens", "completion_tokens", "first_token_ms"}
)
USUAL = frozenset({("attempts", 1), ("finish", "stop")})
"""Facts of a call that went as most do: a person reads on, a program finds them in the file."""
NO_WAIT_MS = 1.0
LEVELS = {"debug": "2", "info": "32", "warning": "33", "error": "31;1", "critical": "31;1"}
COLOURS = ("36", "35", "34", "92", "94", "95", "96", "33")
"""Of workers; red is for what is wrong."""
SHORT_ID_CHARS = 12
WORKER_COLUMNS = 10


class Terminal:
    """Writes events as lines. `whole_ids` shows the ids of requests as they are, for who looks for one to copy."""

    def __init__(self, *, colours: bool, whole_ids: bool = False, today: str = "") -> None:
        self._colours = colours
        self._whole_ids = whole_ids
        self._today = today
        self._columns = WORKER_COLUMNS

    def line(self, event: Mapping[str, Any]) -> str:
        """An event, without an end of line; where it has a traceback, that stands below."""
        worker = _text(event.get("member") or event.get("worker") or "-")
        level = _text(event.get("level"))
        self._columns = max(self._columns, min(len(worker), 24))
        words = [
            self._in(self._time(_text(event.get("timestamp"))), "2"),
            self._in(f"{level[:7]:<7}", LEVELS.get(level, "0")),
            self._in(f"{worker:<{self._columns}}", COLOURS[zlib.crc32(worker.encode()) % len(COLOURS)]),
            *(self._call(event) if event.get("event") == EVENT else [self._in(_text(event.get("event")), "1")]),
            *self._fields(event),
        ]
        below = [_text(event[name], lines=True) for name in ("exception", "stack") if event.get(name)]
        return "\n".join([" ".join(words), *(self._in(text, "2") for text in below)])

    def _call(self, event: Mapping[str, Any]) -> list[str]:
        """A call in few words: what was called, how it ended, how long it took, what it used."""
        status = _text(event.get("status"))
        is_well = status in ("ok", "cancelled")
        words = [
            self._in(_text(event.get("method")), "1"),
            self._in(status, "32" if is_well else "33" if event.get("level") == "info" else "31;1"),
            _duration(event.get("duration_ms")),
        ]
        if event.get("model"):
            words.append(_text(event["model"]))
        if event.get("completion_tokens") is not None:
            words.append(f"{_text(event.get('prompt_tokens', 0))}→{_text(event['completion_tokens'])} tokens")
        if event.get("first_token_ms") is not None:
            words.append(f"first {_duration(event['first_token_ms'])}")
        if request_id := _text(event.get("request_id")):
            words.append(self._in(self._id(request_id), "2"))
        return words

    def _fields(self, event: Mapping[str, Any]) -> list[str]:
        is_call = event.get("event") == EVENT
        left_out = SKIPPED | OF_CALL if is_call else SKIPPED
        words = []
        for name, value in event.items():
            if name in left_out or value is None or value is False or value == "":
                continue
            if is_call and _is_usual(name, value):
                continue
            if value is True:
                words.append(_text(name))
                continue
            text = self._id(_text(value)) if name == "request_id" else _quoted(_text(value))
            words.append(f"{self._in(f'{_text(name)}=', '2')}{text}")
        return words

    def _id(self, request_id: str) -> str:
        short = len(request_id) > SHORT_ID_CHARS + 1 and not self._whole_ids
        return f"{request_id[:SHORT_ID_CHARS]}…" if short else request_id

    def _time(self, timestamp: str) -> str:
        """The time of day here, and the day where it is another one than today."""
        try:
            moment = datetime.fromisoformat(timestamp).astimezone()
        except (ValueError, OverflowError):
            return timestamp
        time = moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03}"
        day = moment.strftime("%Y-%m-%d")
        return time if not self._today or day == self._today else f"{day} {time}"

    def _in(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours else text


def _is_usual(name: str, value: Any) -> bool:
    if name == "queued_ms":
        return isinstance(value, int | float) and value < NO_WAIT_MS
    return isinstance(value, int | str) and (name, value) in USUAL


def _duration(value: Any) -> str:
    if not isinstance(value, int | float):
        return "-"
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _text(value: Any, *, lines: bool = False) -> str:
    """A value without what would act on a terminal: lines may come from files and from other machines."""
    if isinstance(value, list | tuple):
        return ",".join(_text(one) for one in value)
    if value is None:
        return ""
    return "".join(char if char.isprintable() or (lines and char == "\n") else "·" for char in str(value))


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
