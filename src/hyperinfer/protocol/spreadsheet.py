"""Lines of CSV (RFC 4180) that a spreadsheet shows and does not run.

A cell that begins as a formula does is run by Excel, LibreOffice and Google Sheets when the file is opened; whoever may
choose a name or a label could have it run on an administrator's machine. Such text is put behind an apostrophe, as OWASP
advises (https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
from collections.abc import Sequence

FORMULAS = frozenset(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
SHOWN = "'"

Cell = str | int | float | bool | None


def csv_line(cells: Sequence[Cell]) -> str:
    """One line with its end. Numbers stay numbers; nothing is an empty cell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_shown(cell) for cell in cells])
    return line.getvalue()


def _shown(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    begins = cell.lstrip(" ")[:1]
    return SHOWN + cell if begins in FORMULAS and begins else cell
