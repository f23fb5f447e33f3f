"""Which model of a hub is wanted, as people write it: `REPO`, `REPO:QUANTISATION` or `REPO/FILE`."""

import re
from dataclasses import dataclass

from hyperinfer.errors import BadRequest

PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
WANTED = re.compile(rf"(?P<repo>{PART}/{PART})(?::(?P<quant>[A-Za-z0-9_-]{{1,32}})|/(?P<file>[^:]{{1,400}}))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository of a hub, and in it the files of one quantisation or one file; nothing named, the best choice."""

    repo: str
    quant: str = ""
    file: str = ""

    def __str__(self) -> str:
        return self.repo + (f":{self.quant}" if self.quant else f"/{self.file}" if self.file else "")


def parse(text: str) -> Wanted:
    """What is wanted. Raises `BadRequest`; a file may lie in folders, but never outside the repository."""
    found = WANTED.fullmatch(text.strip())
    if found is None or ".." in text:
        raise BadRequest(
            "Name a repository of the hub, such as Qwen/Qwen3-4B-GGUF, with :Q4_K_M for a quantisation or /FILE for a file."
        )
    return Wanted(found["repo"], (found["quant"] or "").upper().replace("-", "_"), found["file"] or "")
