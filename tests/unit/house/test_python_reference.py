"""The page on the Python library says what the library says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_reference_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "python_reference.py"))
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run scripts/python_reference.py"
