"""What a log shows, where, and what it never shows."""

import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import structlog

from hyperinfer.errors import ModelNotFound, StartError
from hyperinfer.facilities import labels, log
from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.log import files

KEY = "hi_0123abcd_" + "k" * 49
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
PROMPT = "my secret prompt"


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_stream_that_is_no_terminal_gets_a_json_object_a_line() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    structlog.get_logger("net").info("driver_restarted", restarts=2)
    structlog.get_logger("net").debug("not_wanted")
    [line] = stream.getvalue().splitlines()
    event = json.loads(line)
    assert line.startswith('{"timestamp":"2')
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "driver_restarted", "restarts": 2, "level": "info", "logger": "net"}


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_readable_lines(colours: bool) -> None:
    stream = TerminalStream()
    log.configure(level="info", stream=stream, colours=colours)
    structlog.get_logger("net").warning("driver_restarted", restarts=2)
    assert "driver_restarted" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is colours


def test_files_hold_events_and_errors_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "logs"
    log.configure(level="info", stream=io.StringIO(), folder=folder, console_level="error")
    structlog.get_logger("x").info("fine")
    structlog.get_logger("x").error("bad")
    logging.getLogger("some.library").warning("said %s %d", "so", 3)
    assert [event["event"] for event in lines(folder / "event.log")] == ["fine", "bad", "library_says"]
    assert [event["event"] for event in lines(folder / "error.log")] == ["bad"]
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "event.log").write_text("")
    (tmp_path / "event.log").chmod(0o644)
    log.configure(level="info", stream=io.StringIO(), folder=tmp_path)
    assert (tmp_path / "event.log").stat().st_mode & 0o777 == 0o600


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_BYTES", 2000)
    log.configure(level="info", stream=io.StringIO(), folder=tmp_path)
    for number in range(200):
        structlog.get_logger("x").info("line", count=number)
    kept = files.files_of(tmp_path / "event.log")
    assert [path.name for path in kept] == ["event.log", *(f"event.log.{number}" for number in range(1, 5))]
    assert max(path.stat().st_size for path in kept) <= 2000
    counts = [event["count"] for path in reversed(kept) for event in lines(path)]
    assert counts == list(range(counts[0], 200))


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


def test_what_is_not_declared_is_not_shown(tmp_path: Path) -> None:
    stream = TerminalStream()
    log.configure(level="debug", stream=stream, folder=tmp_path)
    logger = structlog.get_logger("x")
    logger.info("asked", prompt=PROMPT, headers={"Authorization": f"Bearer {KEY}", "x-api-key": KEY})
    logger.info("urls", url=f"postgres://user:hunter2@db/x?k={KEY}", raw=b"hunter2", model=PROMPT * 9, key=KEY)
    logger.info("nested", rows=[{"password": "hunter2"}, ("a", {"messages": [PROMPT]})], count=[PROMPT])
    logger.info("reasons", reason=f"There is no model {PROMPT!r} here, key {KEY}.", why=f'"{PROMPT}')
    logger.info("key %s and token %s", KEY, TOKEN)
    logging.getLogger("library").warning("bad key %s", KEY)
    logging.getLogger("library").warning(f"bad key {PROMPT}")  # noqa: G004 - as libraries do
    logging.getLogger("asyncio").error(f"Exception in callback f({PROMPT!r})\nhandle: {PROMPT}")  # noqa: G004
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(PROMPT, stacklevel=1)
    try:
        local_key = KEY
        raise ValueError(f"cannot use {local_key} {PROMPT}") from ModelNotFound(PROMPT)
    except ValueError:
        logger.exception("failed")
    text = stream.getvalue() + (tmp_path / "event.log").read_text() + (tmp_path / "error.log").read_text()
    for secret in (KEY, KEY[-49:], TOKEN, "hunter2", PROMPT):
        assert secret not in text
    events = {event["event"]: event for event in lines(tmp_path / "event.log")}
    assert events["asked"]["prompt"] == log.HIDDEN
    assert events["urls"]["url"] == "postgres://db/x"
    assert events["reasons"]["reason"] == f"There is no model '…' here, key {log.HIDDEN}."
    assert events["failed"]["exception"].endswith("ValueError")
    assert "ModelNotFound [MODEL_NOT_FOUND]" in events["failed"]["exception"]


def test_of_other_libraries_the_pattern_is_shown_and_where_it_stands(tmp_path: Path) -> None:
    log.configure(level="info", stream=io.StringIO(), folder=tmp_path)
    logging.getLogger("uvicorn").warning("took %.1f s for %s", 2.5, "me")
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <…>", exc_info=OSError(28, "secret")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("secret", ResourceWarning, stacklevel=1)
    first, second, third = lines(tmp_path / "event.log")
    assert (first["logger"], first["text"]) == ("uvicorn", "took 2.5 s for [hidden]")
    assert first["place"].startswith("test_setup.py:")
    assert second["text"] == "Task exception was never retrieved"
    assert second["exception"] == "OSError [ENOSPC]"
    assert (third["kind"], third["text"]) == ("ResourceWarning", log.HIDDEN)
    assert third["place"].startswith("test_setup.py:")


def test_a_line_says_during_which_request_it_was_logged() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    token = labels.CURRENT.set(Labels("gateway", "req_1", "0" * 31 + "1"))
    try:
        structlog.get_logger("x").info("within")
        structlog.get_logger("x").info("its_own", worker="another")
    finally:
        labels.CURRENT.reset(token)
    error = ValueError()
    labels.mark(error, Labels("gateway", "req_2"))
    labels.mark(error, Labels("gateway", "req_3"))
    structlog.get_logger("x").error("afterwards", exc_info=error)
    within, own, afterwards = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (within["worker"], within["request_id"], within["trace_id"]) == ("gateway", "req_1", "0" * 31 + "1")
    assert own["worker"] == "another"
    assert afterwards["request_id"] == "req_2"


def test_what_a_worker_logs_is_its_own_also_in_its_tasks() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    with log.joined("auth"):
        structlog.get_logger("x").info("inside")
        with log.joined("gateway"):
            structlog.get_logger("x").info("further_inside")
        structlog.get_logger("x").info("inside")
    structlog.get_logger("x").info("outside")
    assert [json.loads(line).get("worker") for line in stream.getvalue().splitlines()] == [
        "auth",
        "gateway",
        "auth",
        None,
    ]


def test_what_the_process_says_beside_its_workers_is_no_workers() -> None:
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    with log.joined("auth"), log.apart(), log.joined("gateway"):
        structlog.get_logger("x").info("starting")
        with log.apart():
            structlog.get_logger("x").info("running")
        structlog.get_logger("x").info("stopping")
    assert [json.loads(line).get("worker") for line in stream.getvalue().splitlines()] == ["gateway", None, "gateway"]


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


def test_a_command_says_its_warnings_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    log.log_for_a_command()
    structlog.get_logger("x").info("fine")
    try:
        raise ValueError(PROMPT)
    except ValueError:
        structlog.get_logger("x").warning("odd", password="hunter2", exc_info=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "odd password=[hidden]\n  File" in said.err
    assert said.err.endswith("ValueError\n")
    assert PROMPT not in said.err
