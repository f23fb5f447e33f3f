"""What a log shows, and what it never shows."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hyperinfer.errors import StartError
from hyperinfer.facilities import log

KEY = "hi_0123abcd_" + "k" * 49
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True
    structlog.reset_defaults()


def test_a_stream_that_is_no_terminal_gets_a_json_object_a_line() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    structlog.get_logger("net").info("driver_restarted", restarts=2)
    structlog.get_logger("net").debug("not_wanted")
    [line] = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["restarts"], event["level"], event["logger"]) == (
        "driver_restarted",
        2,
        "info",
        "net",
    )
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_readable_lines(colours: bool) -> None:
    stream = Terminal()
    log.configure(level="info", stream=stream, colours=colours)
    structlog.get_logger("net").warning("driver_restarted", restarts=2)
    assert "driver_restarted" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is colours


def test_files_hold_events_and_errors(tmp_path: Path) -> None:
    log.configure(level="info", stream=io.StringIO(), folder=tmp_path / "logs", console_level="error")
    structlog.get_logger("x").info("fine")
    structlog.get_logger("x").error("bad")
    logging.getLogger("some.library").warning("said %s", "so")
    events = [json.loads(line)["event"] for line in (tmp_path / "logs" / "event.log").read_text().splitlines()]
    errors = [json.loads(line)["event"] for line in (tmp_path / "logs" / "error.log").read_text().splitlines()]
    assert events == ["fine", "bad", "said so"]
    assert errors == ["bad"]


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 2000)
    log.configure(level="info", stream=io.StringIO(), folder=tmp_path)
    for number in range(200):
        structlog.get_logger("x").info("line", number=number)
    sizes = [path.stat().st_size for path in tmp_path.glob("event.log*")]
    assert len(sizes) == log.FILES_KEPT + 1
    assert max(sizes) <= 2000


def test_a_folder_that_cannot_be_written_is_a_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(StartError, match=r"log\.dir"):
        log.configure(level="info", folder=tmp_path / "logs")


def test_configuring_again_replaces_what_was(tmp_path: Path) -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure(level="info", stream=first, folder=tmp_path)
    log.configure(level="info", stream=second)
    structlog.get_logger("x").info("once")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_no_secret_is_shown(tmp_path: Path) -> None:
    stream = Terminal()
    log.configure(level="debug", stream=stream, folder=tmp_path)
    logger = structlog.get_logger("x")
    logger.info("asked", prompt="my secret prompt", headers={"Authorization": f"Bearer {KEY}", "x-api-key": KEY})
    logger.info("key %s and token %s", KEY, TOKEN, url=f"postgres://user:hunter2@db/x?k={KEY}", raw=b"hunter2")
    logger.info("nested", rows=[{"password": "hunter2"}, ("a", {"messages": ["my secret prompt"]})])
    logging.getLogger("library").warning("bad key %s", KEY)
    try:
        local_key = KEY
        raise ValueError(f"cannot use {local_key}")
    except ValueError:
        logger.exception("failed")
    text = stream.getvalue() + (tmp_path / "event.log").read_text() + (tmp_path / "error.log").read_text()
    for secret in (KEY, KEY[-49:], TOKEN, "hunter2", "my secret prompt"):
        assert secret not in text
    assert "ValueError" in text
    assert "nested" in text


def test_what_json_does_not_know_is_logged_as_text() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    structlog.get_logger("x").info("odd", path=Path("a"), error=ValueError("b"))
    event = json.loads(stream.getvalue())
    assert (event["path"], event["error"]) == ("a", "b")


def test_a_library_is_heard_only_where_the_application_listens(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    structlog.reset_defaults()
    log.log_as_library()
    structlog.get_logger("hyperinfer.net").info("swarm", state="online")
    assert capsys.readouterr() == ("", "")
    caplog.clear()
    with caplog.at_level("INFO", logger="hyperinfer"):
        structlog.get_logger("hyperinfer.net").info("swarm", state="online", token="t0")
    [record] = caplog.records
    assert (record.getMessage(), record.name, vars(record)["state"]) == ("swarm", "hyperinfer.net", "online")
    assert vars(record)["token"] == log.HIDDEN


def test_a_library_leaves_the_log_of_its_application_as_it_is() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    log.log_as_library()
    structlog.get_logger("x").info("fine")
    assert "fine" in stream.getvalue()
