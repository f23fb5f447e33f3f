"""Files that disturb each other run one after the other, on one worker of pytest-xdist; all others wherever there is room."""

from pathlib import Path

import pytest
from tests.conftest import TOGETHER, runs_with

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(("file", "other"), sorted(TOGETHER.items()))
def test_files_that_run_together_are_there(file: str, other: str) -> None:
    for name in (file, other):
        assert list(TESTS.rglob(name)), name
    assert runs_with(f"tests/e2e/{file}") == runs_with(f"tests/e2e/{other}") == f"tests/e2e/{other}"


def test_other_files_run_by_themselves() -> None:
    assert runs_with("tests/e2e/test_up.py") == "tests/e2e/test_up.py"
    assert runs_with("test_up.py") == "test_up.py"
