"""The documentation as programs: every fenced block of a page, in order, with what its author says of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?:<!-- (?P<note>[a-z ]+): (?P<said>[^\n]+?) -->\n+)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
NOTES = {"not run", "machine", "file"}
"""What may stand in a comment above a fence: why nobody can run it here, on which machine of several it is typed, or in which
file it is written."""
RUN = {"sh", "console", "python", "js"}
"""What is run; `console` holds commands behind `$` with what they say."""
SHOWN = {"text", "json", "nginx"}
"""What is read only. A `text` under commands is what they say."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where it begins, what it is, what stands in the comment above it, and whether it follows the block
    before it with nothing in between."""

    line: int
    language: str
    text: str
    note: str = ""
    said: str = ""
    follows: bool = False

    @property
    def is_run(self) -> bool:
        """Whether it is a program that can be run here."""
        return self.language in RUN and self.note != "not run"

    @property
    def machine(self) -> str:
        """On which machine of the page it is typed."""
        return self.said if self.note == "machine" else "here"


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page."""
    end = 0
    for found in FENCE.finditer(text):
        follows = bool(end) and not text[end : found.start()].strip()
        end = found.end()
        line = text.count("\n", 0, found.start("language")) + 1
        body = found["text"].replace("\n" + found["indent"], "\n") if found["indent"] else found["text"]
        yield Block(line, found["language"], body, found["note"] or "", found["said"] or "", follows)


def page(name: str) -> list[Block]:
    """The blocks of a page that is named from the repository's root."""
    return list(blocks((ROOT / name).read_text(encoding="utf-8")))


def pages() -> list[str]:
    """Every page whose commands people are meant to type."""
    found = [ROOT / "README.md", *(ROOT / "docs").glob("getting-started/*.md"), *(ROOT / "docs").glob("guides/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)
