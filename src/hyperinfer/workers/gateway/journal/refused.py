"""Records that auth has refused for good: kept aside for an operator to look at, within a bound."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hyperinfer.contracts.usage import UsageRecord

FILE = "refused.jsonl"
OLDER = "refused.1.jsonl"
MAX_BYTES = 8 * 1024 * 1024
"""Of the file that is written; one older file of that size is kept beside it."""


class Refused(msgspec.Struct, frozen=True):
    """One line of the file: a record, and auth's word on it."""

    why: str
    record: UsageRecord


class RefusedFile:
    """The file in one folder. Its methods wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def add(self, refused: Sequence[Refused]) -> None:
        """Keep these; on the disk when it returns. Raises `OSError`."""
        content = b"".join(msgspec.json.encode(one) + b"\n" for one in refused)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(file, "ab") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
            size = opened.tell()
        if size > MAX_BYTES:
            self._path.replace(self._path.with_name(OLDER))
