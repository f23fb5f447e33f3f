"""The lines that were typed: for their owner alone, bounded, and without passwords."""

import stat
from pathlib import Path

import pytest

from hyperinfer.cli.conversation import history
from hyperinfer.cli.conversation.history import ChatHistory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hyperinfer" / "chat-history"


def kept(file: Path | None) -> list[str]:
    """Lines as the arrow keys bring them back, the newest first."""
    return list(ChatHistory(file).load_history_strings())


def test_lines_come_back_in_the_next_chat(file: Path) -> None:
    typed = ChatHistory(file)
    for line in ("first", "second\nof two lines", "é"):
        typed.append_string(line)
    assert kept(file) == ["é", "second\nof two lines", "first"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_line_with_a_password_is_kept_nowhere(file: Path) -> None:
    typed = ChatHistory(file)
    typed.append_string("login ada@example.com horse")
    typed.append_string("/settoken hi_secret")
    assert kept(file) == []
    assert typed.get_strings() == []


def test_without_a_file_lines_last_as_long_as_the_chat() -> None:
    typed = ChatHistory(None)
    typed.append_string("hello")
    assert typed.get_strings() == ["hello"]
    assert kept(None) == []


def test_a_torn_line_spoils_itself_alone(file: Path) -> None:
    ChatHistory(file).append_string("whole")
    with file.open("ab") as opened:
        opened.write(b'"torn\n')
    ChatHistory(file).append_string("after")
    assert kept(file) == ["after", "whole"]


def test_it_is_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_FILE_BYTES", 200)
    monkeypatch.setattr(history, "MAX_LINE_BYTES", 50)
    typed = ChatHistory(file)
    for number in range(100):
        typed.append_string(f"line {number}")
    typed.append_string("x" * 60)
    assert kept(file)[0] == "line 99"
    assert file.stat().st_size <= 250


def test_what_cannot_be_written_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    typed = ChatHistory(tmp_path / "file" / "history")
    typed.append_string("one")
    typed.append_string("two")
    assert capsys.readouterr().err.count("not kept") == 1
