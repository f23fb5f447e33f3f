"""Plain columns: aligned, never cut, readable by people and by `awk`."""

from collections.abc import Sequence

from hyperinfer.cli.manner import for_output, say

GAP = "  "


def show_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their titles; an empty cell is a dash."""
    cells = [[for_output(str(cell)) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(len(title), *(len(row[at]) for row in cells), 0) for at, title in enumerate(titles)]
    say(_line([title.upper() for title in titles], widths), dim=True)
    for row in cells:
        say(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
