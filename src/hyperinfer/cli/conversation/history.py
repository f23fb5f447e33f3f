"""The lines that were typed into chats: bounded, for their owner alone, and without passwords."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from prompt_toolkit.history import History

from hyperinfer.cli.conversation.words import is_secret
from hyperinfer.cli.manner import note
from hyperinfer.kernel.files import write_atomic

MAX_LINES = 1000
MAX_LINE_BYTES = 16 * 1024
MAX_FILE_BYTES = 1024 * 1024


class ChatHistory(History):
    """Lines of this chat, and of those before where there is a file: one JSON string a line, the oldest first."""

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        self._file = file

    def append_string(self, string: str) -> None:
        """Keep a line, unless it may hold a password or a key."""
        if not is_secret(string):
            super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """The lines of before, the newest first."""
        if self._file is None:
            return
        for line in reversed(_lines(self._file)):
            try:
                yield msgspec.json.decode(line, type=str)
            except msgspec.DecodeError:
                continue  # one torn line spoils itself alone

    def store_string(self, string: str) -> None:
        """Write a line down. Where that cannot be done it is said once, and the chat goes on without."""
        line = msgspec.json.encode(string) + b"\n"
        if self._file is None or len(line) > MAX_LINE_BYTES:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line)
                size_bytes = file.tell()
            if size_bytes > MAX_FILE_BYTES:
                write_atomic(self._file, b"".join(_lines(self._file)[-MAX_LINES // 2 :]), mode=0o600)
        except OSError as error:
            note(f"What you type is not kept: cannot write {self._file}: {error.strerror}.")
            self._file = None


def _lines(file: Path) -> list[bytes]:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - MAX_FILE_BYTES))
            return opened.read().splitlines(keepends=True)[-MAX_LINES:]
    except OSError:
        return []
