"""What a GGUF file says of itself, read from its beginning without touching the weights, and within bounds.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hyperinfer.errors import BackendFailed

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_ENTRIES = 65536
"""Entries, and tensors, at most: real files have some dozens, and some thousands."""
MAX_TEXT_BYTES = 1024 * 1024
"""Longest text that is kept; chat templates have up to some 20 KB."""
MAX_NUMBERS = 1024
"""Longest array that is kept: some values are there once for each layer. Vocabularies are passed over."""
MAX_HEAD_BYTES = 256 * 1024 * 1024
"""All that stands before the weights, at most: vocabularies take some 10 MB."""
ALIGNMENT = 32
"""The weights begin at a multiple of it, at least."""
TEXT, ARRAY = 8, 9
NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""The types that are numbers, by their codes, as `struct` names them."""

Value = str | int | float | bool | tuple[int | float | bool, ...]


class Damaged(BackendFailed):
    """The file is no GGUF file, or not all of one; the message says in which way, without naming it."""


@dataclass(frozen=True, slots=True)
class Header:
    """The entries of a file by their keys, without vocabularies; `size_bytes` is that of the file."""

    entries: dict[str, Value] = field(default_factory=dict)
    size_bytes: int = 0

    def text(self, key: str) -> str:
        """A text; empty where there is none."""
        value = self.entries.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        """A number, or the largest of those of all layers; 0 where there is none."""
        value = self.entries.get(key, 0)
        if isinstance(value, tuple):
            return int(max(value, default=0))
        return 0 if isinstance(value, str) else int(value)


def read(path: Path) -> Header:
    """Read a file's header. Raises `Damaged`; takes some tens of milliseconds, nearly all of them for the vocabulary."""
    try:
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            return Header(_Reading(file).entries(size_bytes), size_bytes)
    except OSError as error:
        raise Damaged(f"The file cannot be read: {error.strerror}.") from error


class _Reading:
    """A file, read from its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read_bytes = 0

    def entries(self, size_bytes: int) -> dict[str, Value]:
        """Every entry. Raises `Damaged`, also if the file ends before its last tensor begins."""
        if self._take(4) != MAGIC:
            raise Damaged("The file is no GGUF file.")
        version = self._number("<I")
        if version not in VERSIONS:
            raise Damaged(
                f"The file is of version {version} of GGUF; the engine reads {VERSIONS[0]} and {VERSIONS[1]}."
            )
        tensors, count = self._count(), self._count()
        found: dict[str, Value] = {}
        for _ in range(count):
            key = self._text(MAX_TEXT_BYTES)
            value = self._value(int(self._number("<I")))
            if value is not None:
                found[key] = value
        last = self._last_offset(tensors)
        begins = -(-self._read_bytes // ALIGNMENT) * ALIGNMENT
        if tensors and begins + last >= size_bytes:
            raise Damaged("The file is not complete.")
        return found

    def _last_offset(self, tensors: int) -> int:
        """Where the last tensor begins, in bytes from the end of the header."""
        last = 0
        for _ in range(tensors):
            self._pass_over(int(self._number("<Q")))
            self._pass_over(8 * int(self._number("<I")) + 4)  # its dimensions and its type
            last = max(last, int(self._number("<Q")))
        return last

    def _value(self, kind: int) -> Value | None:
        if kind == TEXT:
            return self._text(MAX_TEXT_BYTES)
        if kind == ARRAY:
            return self._array(int(self._number("<I")), int(self._number("<Q")))
        return self._number(_form(kind))

    def _array(self, kind: int, length: int) -> Value | None:
        if kind == ARRAY:
            raise Damaged("The file has arrays of arrays, which no model has.")
        if kind == TEXT:
            for _ in range(length):
                self._pass_over(int(self._number("<Q")))
            return None
        form = _form(kind)
        if length > MAX_NUMBERS:
            self._pass_over(length * struct.calcsize(form))
            return None
        return tuple(self._number(form) for _ in range(length))

    def _count(self) -> int:
        count = int(self._number("<Q"))
        if count > MAX_ENTRIES:
            raise Damaged(f"The file claims to have {count} entries.")
        return count

    def _text(self, limit: int) -> str:
        length = int(self._number("<Q"))
        if length > limit:
            raise Damaged(f"The file has a text of {length} bytes where models have none.")
        return self._take(length).decode(errors="replace")

    def _number(self, form: str) -> int | float | bool:
        value: int | float | bool = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return value

    def _pass_over(self, length: int) -> None:
        if length <= MAX_TEXT_BYTES:
            self._take(length)
            return
        self._count_in(length)
        self._file.seek(length, os.SEEK_CUR)  # beyond the end, too: the next read tells

    def _count_in(self, length: int) -> None:
        self._read_bytes += length
        if self._read_bytes > MAX_HEAD_BYTES:
            raise Damaged("The file claims to hold more than any model does.")

    def _take(self, length: int) -> bytes:
        self._count_in(length)
        piece = self._file.read(length)
        if len(piece) < length:
            raise Damaged("The file is not complete.")
        return piece


def _form(kind: int) -> str:
    form = NUMBERS.get(kind)
    if form is None:
        raise Damaged(f"The file has values of the unknown type {kind}.")
    return form
