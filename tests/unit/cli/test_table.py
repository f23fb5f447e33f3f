"""Tables on terminals of any width, bars, and what a program gets."""

import pytest

from hyperinfer.cli import table
from hyperinfer.cli.bars import bar, gauge
from hyperinfer.cli.table import columns_of, show_table

TITLES = ("model", "state", "context")
ROWS = [("a-model", "ready", 2048), ("另一個", "idle", None)]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A terminal so wide."""
    monkeypatch.setattr(table, "terminal_width", lambda: request.param)


def said(capsys: pytest.CaptureFixture[str], *spare: str) -> list[str]:
    show_table(TITLES, ROWS, spare=spare)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [None, 23], indirect=True)
@pytest.mark.usefixtures("columns")
def test_what_fits_is_shown_whole_and_wide_letters_count_twice(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "context")
    assert lines == ["MODEL    STATE  CONTEXT", "a-model  ready     2048", "另一個   idle         -"]
    assert {columns_of(line) for line in lines} == {23}


@pytest.mark.parametrize("columns", [22], indirect=True)
@pytest.mark.usefixtures("columns")
def test_a_narrow_terminal_goes_without_what_is_spare(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "context") == ["MODEL    STATE", "a-model  ready", "另一個   idle"]
    assert said(capsys, "state", "context")[0] == "MODEL    CONTEXT"


@pytest.mark.parametrize("columns", [13], indirect=True)
@pytest.mark.usefixtures("columns")
def test_a_very_narrow_one_shows_each_row_as_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "context") == [
        "model    a-model",
        "state    ready",
        "context  2048",
        "",
        "model  另一個",
        "state  idle",
    ]


def test_what_is_no_terminal_has_no_width() -> None:
    assert table.terminal_width() is None


@pytest.mark.parametrize(
    ("part", "drawn"), [(0, ""), (0.001, "▏"), (4, "██"), (5, "██▌"), (8, "████"), (100, "████"), (-1, "")]
)
def test_bars_in_eighths(part: float, drawn: str) -> None:
    assert bar(part, 8, 4) == drawn


def test_bars_of_nothing_and_in_ascii() -> None:
    assert bar(1, 0, 4) == ""
    assert bar(1, 8, 4, plain=True) == "#"
    assert gauge(4, 8, 4, plain=True) == "##.."
    assert [len(gauge(part, 7, 9)) for part in range(9)] == [9] * 9
