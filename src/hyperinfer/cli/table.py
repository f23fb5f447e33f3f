"""Plain columns: aligned, never cut, readable by people and by `awk`. Numbers stand on the right."""

from collections.abc import Sequence

from hyperinfer.cli.manner import for_output, say

GAP = "  "


def show_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their titles; an empty cell is a dash."""
    cells = [[for_output(str(cell)) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(len(title), *(len(row[at]) for row in cells), 0) for at, title in enumerate(titles)]
    numbers = [_is_numeric([row[at] for row in rows]) for at in range(len(titles))]
    say(_line([title.upper() for title in titles], widths, numbers), dim=True)
    for row in cells:
        say(_line(row, widths, numbers))


def show_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print values beside their names; those that are empty are left out."""
    known = [(name, str(value)) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}{GAP}{for_output(value)}")


def clipped(text: str, most: int) -> str:
    """Text that others choose the length of, in so many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_numeric(column: Sequence[object]) -> bool:
    return any(isinstance(cell, int | float) for cell in column) and all(
        cell in (None, "") or isinstance(cell, int | float) for cell in column
    )


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cells, widths, numbers, strict=True)
    )
    return GAP.join(padded).rstrip()
