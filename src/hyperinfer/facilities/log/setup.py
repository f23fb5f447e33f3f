"""Setting the log up for a process: what structlog and other libraries log comes to one writer."""

import atexit
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from hyperinfer.errors import StartError
from hyperinfer.facilities import labels
from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.log import foreign, tracebacks
from hyperinfer.facilities.log.calls import Ended, timestamp
from hyperinfer.facilities.log.console import Console
from hyperinfer.facilities.log.fields import shown
from hyperinfer.facilities.log.files import RotatedFile, make_folder
from hyperinfer.facilities.log.terminal import Terminal
from hyperinfer.facilities.log.writer import FileOutlet, Outlet, Writer

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "text", "json"]

LOUD = ("aiohttp", "aiosqlite", "alembic", "asyncio", "filelock", "sqlalchemy")
"""Libraries that are heard from `warning` on only; the log itself uses one of them."""

_NOWHERE = logging.NullHandler()


class Log:
    """The log of this process. `folder` is where its files are, if it has any."""

    def __init__(self, writer: Writer, folder: Path | None) -> None:
        self.writer = writer
        self.folder = folder


class _Current:
    """The one log that a process has, once it has been set up."""

    log: Log | None = None


def current() -> Log | None:
    """The log of this process; none before `configure`."""
    return _Current.log


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
    is_terminal = stream.isatty()
    readable = style == "text" or (style == "auto" and is_terminal)
    terminal = Terminal(colours=colours and is_terminal) if readable else None
    files = _files(folder, level) if folder else []
    stop()
    writer = Writer([*files, Console(stream, level=console_level or level, terminal=terminal)], level=level)
    _Current.log = Log(writer, folder)
    atexit.register(stop)
    root = logging.getLogger()
    root.addHandler(_Handler(writer))
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


def stop() -> None:
    """Write what waits, and log nothing more until `configure` is called again."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    log, _Current.log = _Current.log, None
    if log is not None:
        atexit.unregister(stop)
        log.writer.close()


def flush() -> None:
    """Write what waits."""
    if _Current.log is not None:
        _Current.log.writer.flush()


def tell(method: str, status: str, duration_s: float, labels: Labels, facts: dict[str, Any]) -> None:
    """Write down soon that a call has ended; without a log, nothing. Costs its caller a microsecond."""
    if _Current.log is not None:
        _Current.log.writer.tell(Ended(time.time(), method, status, duration_s, labels, facts))


@contextmanager
def joined(worker: str) -> Iterator[None]:
    """What is logged in this block, and by the tasks begun in it, is this worker's unless a call says otherwise."""
    log, before = _Current.log, labels.CURRENT.get()
    labels.CURRENT.set(Labels(worker))
    try:
        if log is None:
            yield
        else:
            with log.writer.joined(worker):
                yield
    finally:
        labels.CURRENT.set(before)  # no token: fixtures of tests leave in another context than they have entered


@contextmanager
def apart() -> Iterator[None]:
    """What is logged in this block is no worker's but the process's, though it is within the block of one that has joined."""
    before = labels.CURRENT.get()
    labels.CURRENT.set(labels.NONE)
    try:
        yield
    finally:
        labels.CURRENT.set(before)  # no token, as above


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


def log_for_a_command() -> None:
    """Warnings and errors to standard error, for a command that ends by itself. What has been configured before stays."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, _finished, _readable],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever that is when something is said
        )


class _Handler(logging.Handler):
    """Gives the writer what is logged: ours as it comes from structlog, other libraries' as far as it can be shown."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record down."""
        try:
            is_ours = isinstance(record.msg, dict)
            self._writer.write(record.msg if is_ours else foreign.event_of(record))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - the edge of logging: a line that cannot be written ends nobody's work
            self.handleError(record)


def _files(folder: Path, level: str) -> list[Outlet]:
    try:
        make_folder(folder)
        return [
            FileOutlet(RotatedFile(folder / "event.log"), level=level),
            FileOutlet(RotatedFile(folder / "error.log"), level="error"),
        ]
    except OSError as error:
        raise StartError(f"Cannot write logs to {folder}: {error.strerror}. Set log.dir to another folder.") from error


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _finished,
    ]


def _finished(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The event as it is written: the time first, the labels of what is under way, and of all the rest what may be shown."""
    text, level, logged_by = event.pop("event", ""), event.pop("level", method), event.pop("logger", "")
    error = tracebacks.current(event.pop("exc_info", None))
    event.pop("stack_info", None)
    now = labels.of(error)
    labelled = {"worker": now.worker, "request_id": now.request_id, "trace_id": now.trace_id}
    finished: dict[str, Any] = {
        "timestamp": timestamp(time.time()),
        "level": level,
        "event": text,
        **{name: value for name, value in labelled.items() if value},
        **event,
        "logger": logged_by,
    }
    if error is not None:
        finished["exception"] = tracebacks.told(error)
    return shown(finished)


def _readable(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return Terminal(colours=False).line(event)
