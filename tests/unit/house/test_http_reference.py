"""The page on the HTTP API says what the routes say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_reference_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "http_reference.py"))
    page = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run scripts/http_reference.py"
