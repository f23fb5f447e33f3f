"""What a command shows of this machine's logs."""

import time
from pathlib import Path

import msgspec
import pytest

from .conftest import Command

LINE = {"timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", "event": "call", "worker": "gateway"}


def line(**more: str) -> str:
    return msgspec.json.encode(LINE | more).decode() + "\n"


def test_a_request_that_has_just_ended_is_looked_for_once_more(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = home / "logs" / "event.log"
    log.parent.mkdir()
    log.write_text(line(request_id="other"))
    waits: list[float] = []

    def until_written(seconds: float) -> None:
        waits.append(seconds)
        with log.open("a") as lines:
            lines.write(line(request_id="mine", method="processInferenceRequest"))

    monkeypatch.setattr(time, "sleep", until_written)
    assert "processInferenceRequest" in command("logs", "--request", "mine").out
    assert len(waits) == 1
    assert "No line matches." in command("logs", "--level", "error").err
    assert len(waits) == 1, "only a request's lines are waited for"
