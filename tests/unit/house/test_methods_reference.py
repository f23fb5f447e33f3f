"""The page on methods says what the code says."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_reference_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "methods_reference.py"))
    page = (ROOT / "docs" / "reference" / "methods.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run scripts/methods_reference.py"


def test_no_method_is_left_out() -> None:
    page = (ROOT / "docs" / "reference" / "methods.md").read_text(encoding="utf-8")
    declared = set()
    for file in (ROOT / "src" / "hyperinfer" / "contracts").glob("*.py"):
        declared |= set(re.findall(r'^[A-Z_]+ = Method\(\s*"(\w+)"', file.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(declared) > 50
    assert {name for name in declared if f"`{name}`" not in page} == set()
