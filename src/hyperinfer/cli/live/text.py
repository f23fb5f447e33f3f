"""Lines of styled text, cut and padded to the columns of a terminal. Pure.

A style is one of our own words (`good`, `bad`, …), which the terminal gives its colours; with none it is plain.
"""

from collections.abc import Iterable, Sequence

from hyperinfer.cli.manner import printable
from hyperinfer.cli.table import columns_of

Piece = tuple[str, str]
"""A style and a text."""
Line = list[Piece]

CUT = "…"
DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that turn the direction of a line (Unicode's UAX #9), to be left out."""


def clean(text: str) -> str:
    """Text of others on one line, without what would act on a terminal or on the direction of what follows."""
    return " ".join(printable(text).translate(DIRECTIONS).split())


def width(line: Iterable[Piece]) -> int:
    """Columns of a line."""
    return sum(columns_of(text) for _, text in line)


def clip(text: str, columns: int) -> str:
    """Text in so many columns at most; what is cut off shows as an ellipsis."""
    if columns_of(text) <= columns:
        return text
    kept, room = "", columns - 1
    for char in text:
        room -= columns_of(char)
        if room < 0:
            break
        kept += char
    return kept + CUT if columns > 0 else ""


def fit(line: Sequence[Piece], columns: int) -> Line:
    """A line in so many columns at most."""
    fitted, room = [], columns
    for style, text in line:
        if room <= 0:
            break
        piece = clip(text, room)
        fitted.append((style, piece))
        room -= columns_of(piece)
    return fitted


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Text in exactly so many columns."""
    text = clip(text, columns)
    blanks = " " * (columns - columns_of(text))
    return blanks + text if right else text + blanks


def spread(left: Line, right: Line, columns: int) -> Line:
    """Two lines at both ends of one; where both do not fit, the left one is cut first."""
    right = fit(right, columns)
    left = fit(left, max(0, columns - width(right) - 1))
    return [*left, ("", " " * (columns - width(left) - width(right))), *right]


def plain(line: Iterable[Piece]) -> str:
    """A line without its styles."""
    return "".join(text for _, text in line).rstrip()
