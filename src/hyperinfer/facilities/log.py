"""The log facility: structlog over the standard library's handlers; to standard error and to files of bounded size.

Whatever is logged passes `redact` last, which hides what must never be read in a log. That is the second line of
defence: the first is that nobody logs a prompt, a key or a password.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from hyperinfer.errors import StartError

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "text", "json"]

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 4
"""Beside the one that is written: a log takes 50 MB at most."""
MAX_DEPTH = 6
HIDDEN = "[hidden]"

SECRET_NAMES = frozenset(
    {
        *("password", "passwd", "secret", "seed", "private_key", "root_key", "swarm_key", "credential", "cookie"),
        *("api_key", "apikey", "x_api_key", "authorization", "token", "access_token", "refresh_token"),
        *("prompt", "messages", "content", "completion", "response", "body", "database_url"),
    }
)
"""Fields whose value is never shown, whoever logs them; compared in lower case with `_` for `-`."""

SECRET_SHAPES = re.compile(r"hi_[0-9A-Za-z]{8}_[0-9A-Za-z]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
"""API keys, session tokens and passwords in URLs, wherever in a text they stand."""

_NOWHERE = logging.NullHandler()

LOUD = ("aiohttp", "aiosqlite", "alembic", "asyncio", "sqlalchemy")
"""Libraries that are heard from `warning` on only."""


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide the values of fields that are secrets by name, and texts that are secrets by shape."""
    return {name: _clean(name, value, 0) for name, value in event.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if name.lower().replace("-", "_") in SECRET_NAMES:
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes) or depth > MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        return [_clean("", inner, depth + 1) for inner in value]
    return SECRET_SHAPES.sub(HIDDEN, str(value))


def configure(
    *,
    level: Level,
    style: Format = "auto",
    folder: Path | None = None,
    console_level: Level | None = None,
    colours: bool = True,
    stream: TextIO | None = None,
) -> None:
    """Log to `stream` (standard error), and with `folder` to `event.log` and, errors alone, to `error.log` in it.

    The files hold a JSON object a line and are rotated at 10 MB. On a terminal the stream is readable and coloured where
    `colours` are wanted, otherwise it is JSON too; `console_level` is for it alone. May be called again.
    Raises `StartError` if the files cannot be written.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    readable = style == "text" or (style == "auto" and terminal)
    console = logging.StreamHandler(stream)
    console.setFormatter(_formatter(_readable(colours=colours and terminal) if readable else _json()))
    console.setLevel((console_level or level).upper())
    handlers: list[logging.Handler] = [console, *(_files(folder) if folder else ())]
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "_of_hyperinfer", False):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        handler._of_hyperinfer = True  # type: ignore[attr-defined]  # so that the next call replaces these alone
        root.addHandler(handler)
    root.setLevel(level.upper())
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk is no reason for tracebacks on the terminal
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_common(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def log_as_library() -> None:
    """Log to the standard library's loggers named `hyperinfer…`, which say nothing unless the application wants to hear it.

    An application that has configured structlog keeps what it configured.
    """
    logging.getLogger("hyperinfer").addHandler(_NOWHERE)  # added once, however often
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, *_common(), structlog.stdlib.render_to_log_kwargs],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )


def _files(folder: Path) -> list[logging.Handler]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        events, errors = (
            RotatingFileHandler(folder / name, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
            for name in ("event.log", "error.log")
        )
    except OSError as error:
        raise StartError(f"Cannot write logs to {folder}: {error.strerror}. Set log.dir to another folder.") from error
    errors.setLevel(logging.ERROR)
    for handler in (events, errors):
        handler.setFormatter(_formatter(_json()))
    return [events, errors]


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]


def _formatter(renderer: Processor) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=_common(), processors=[ProcessorFormatter.remove_processors_meta, renderer]
    )


def _json() -> Processor:
    return structlog.processors.JSONRenderer(serializer=_encode)


def _readable(*, colours: bool) -> Processor:
    # Never the default traceback of this renderer: it shows local variables, thus keys and prompts.
    return ConsoleRenderer(colors=colours, exception_formatter=plain_traceback, pad_event_to=0)


def _encode(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event).decode()
