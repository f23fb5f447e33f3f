"""Tables as wide as a terminal: what there is least need of is left out where there is no room for it. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hyperinfer.cli.live.text import Line, Piece, fit, pad
from hyperinfer.cli.table import columns_of

T = TypeVar("T")

GAP = "  "
SHORT_NAME, LEAST_NAME = 16, 8
"""Columns that a name keeps for as long as others can be left out, at most a quarter of the terminal, and those that it keeps
in any case."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column: what stands in it, and how much it is needed. The most needed are 0; names (`flexible`) may be cut."""

    title: str
    cell: Callable[[T], Piece]
    need: int
    right: bool = True
    flexible: bool = False


def table(columns: Sequence[Column[T]], rows: Sequence[T], room: int, *, marked: str = "") -> list[Line]:
    """The titles and a line for each row, in so many columns. `marked` is the title by which the rows are in order."""
    cells = {column.title: [column.cell(row) for row in rows] for column in columns}
    kept, widths = _fitting(columns, cells, room)
    lines = [_titles(kept, widths, marked)]
    for at in range(len(rows)):
        line: Line = []
        for column in kept:
            style, text = cells[column.title][at]
            line += [(style, pad(text, widths[column.title], right=column.right)), ("", GAP)]
        lines.append(line[:-1])
    return [fit(line, room) for line in lines]


def _titles(columns: Sequence[Column[T]], widths: dict[str, int], marked: str) -> Line:
    line: Line = []
    for column in columns:
        style = "sorted" if column.title == marked else "title"
        line += [(style, pad(column.title.upper(), widths[column.title], right=column.right)), ("title", GAP)]
    return line[:-1]


def _fitting(
    columns: Sequence[Column[T]], cells: dict[str, list[Piece]], room: int
) -> tuple[list[Column[T]], dict[str, int]]:
    """The columns that there is room for, and how wide each is."""
    widths = {
        column.title: max(columns_of(column.title), *(columns_of(text) for _, text in cells[column.title]), 0)
        for column in columns
    }
    kept = list(columns)
    while _taken(kept, widths) > room:
        spare = max(kept, key=lambda column: column.need)
        least = max(LEAST_NAME, min(SHORT_NAME, room // 4)) if spare.need else LEAST_NAME
        long = [column for column in kept if column.flexible and widths[column.title] > least]
        if long:
            widths[max(long, key=lambda column: widths[column.title]).title] -= 1
        elif spare.need:
            kept.remove(spare)
        else:
            break
    return kept, widths


def _taken(columns: Sequence[Column[T]], widths: dict[str, int]) -> int:
    return sum(widths[column.title] for column in columns) + len(GAP) * (len(columns) - 1)
