"""Plain columns: aligned, readable by people and by `awk`. Numbers stand on the right. Where a program reads, nothing is cut."""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence

from hyperinfer.cli.manner import for_output, say

GAP = "  "
FEWEST_COLUMNS = 16
"""In fewer, words are better broken than put one below the other."""


def show_table(titles: Sequence[str], rows: Sequence[Sequence[object]], *, spare: Sequence[str] = ()) -> None:
    """Print rows under their titles; an empty cell is a dash.

    On a terminal that is too narrow the columns named by `spare` are left out, one after the other; where that does not
    suffice, each row is shown as facts. A program that reads gets every column.
    """
    cells = [[for_output(str(cell)) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(columns_of(title), *(columns_of(row[at]) for row in cells), 0) for at, title in enumerate(titles)]
    numbers = [_is_numeric([row[at] for row in rows]) for at in range(len(titles))]
    kept = _fitting(titles, widths, spare, terminal_width())
    if not kept:
        _show_records(titles, cells)
        return
    lines = (
        _line([line[at] for at in kept], [widths[at] for at in kept], [numbers[at] for at in kept])
        for line in ([title.upper() for title in titles], *cells)
    )
    say(next(lines), dim=True)
    for line in lines:
        say(line)


def show_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print values beside their names; those that are empty are left out."""
    known = [(name, str(value)) for name, value in facts if value not in (None, "")]
    width = max((columns_of(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{_padded(name, width)}{GAP}{_hanging(for_output(value), width + len(GAP))}")


def _hanging(text: str, indent: int) -> str:
    """Text beside a name, broken between words where a terminal would break one; the rest stands below its beginning."""
    columns = terminal_width()
    if columns is None or columns - indent < FEWEST_COLUMNS or columns_of(text) <= columns - indent or "  " in text:
        return text
    parts = textwrap.wrap(text, columns - indent, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(parts)


def wrapped(text: str) -> str:
    """Text broken between words where a terminal would break one; a program gets it as it is."""
    columns = terminal_width()
    if columns is None or columns < FEWEST_COLUMNS or columns_of(text) <= columns:
        return text
    return "\n".join(textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False))


def clipped(text: str, most: int) -> str:
    """Text that others choose the length of, in so many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def terminal_width() -> int | None:
    """How many columns the output has; nothing where a program reads it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _fitting(titles: Sequence[str], widths: Sequence[int], spare: Sequence[str], columns: int | None) -> list[int]:
    """The columns that a terminal has room for; none where even those that must be there do not fit."""
    kept = list(range(len(titles)))
    if columns is None:
        return kept
    leaving = [titles.index(title) for title in spare if title in titles]
    while sum(widths[at] for at in kept) + len(GAP) * (len(kept) - 1) > columns:
        if not leaving:
            return []
        kept.remove(leaving.pop(0))
    return kept


def _show_records(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for at, row in enumerate(rows):
        if at:
            say()
        show_facts([(title, cell) for title, cell in zip(titles, row, strict=True) if cell != "-"])


def _is_numeric(column: Sequence[object]) -> bool:
    return any(isinstance(cell, int | float) for cell in column) and all(
        cell in (None, "") or isinstance(cell, int | float) for cell in column
    )


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = (
        _padded(cell, width, on_the_right=is_number)
        for cell, width, is_number in zip(cells, widths, numbers, strict=True)
    )
    return GAP.join(padded).rstrip()


def _padded(text: str, width: int, *, on_the_right: bool = False) -> str:
    blanks = " " * (width - columns_of(text))
    return blanks + text if on_the_right else text + blanks
