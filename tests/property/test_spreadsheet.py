"""CSV: every cell comes back as it was, but none begins as a formula does."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol.spreadsheet import FORMULAS, csv_line

FORMULA = st.sampled_from(
    ["=1+1", "@SUM(A1)", "+1", "-1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")', "\t=1", " =1"]
)
# Halves of surrogate pairs are no text that a file can hold.
cells = FORMULA | st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans() | st.none()


@given(st.lists(cells, min_size=2, max_size=6))
def test_cells_come_back_and_none_is_a_formula(row: list[str | int | bool | None]) -> None:
    line = csv_line(row)
    (read,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert len(read) == len(row)
    for cell, text in zip(row, read, strict=True):
        if isinstance(cell, str):
            assert text in {cell, "'" + cell}
            assert text.lstrip(" ")[:1] not in FORMULAS or not text.lstrip(" ")
        else:
            assert text == ("" if cell is None else str(cell))


def test_a_number_is_a_number() -> None:
    assert csv_line([-1, -0.5, "-1", None, True]) == "-1,-0.5,'-1,,True\r\n"
