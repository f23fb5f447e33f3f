"""The programs of the guide run as they stand, over HTTP and over the swarm; what holds a `…` is for people alone."""

import re
from pathlib import Path

import pytest

from .conftest import Platform

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "python.md"
PROGRAM = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("way", ["http", "swarm"])
def test_its_programs_run(
    platform: Platform, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert platform.net.bootstrap is not None
    environment = {
        "HYPERINFER_GATEWAY": platform.addresses[way],
        "HYPERINFER_API_KEY": platform.admin,
        "HYPERINFER_COMMON__NET__BOOTSTRAP": platform.net.bootstrap[0],
        "HYPERINFER_COMMON__NET__HOST": platform.net.host,
        "HYPERINFER_COMMON__NET__FIREWALLED": "false",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    programs = [text for text in PROGRAM.findall(GUIDE.read_text(encoding="utf-8")) if "…" not in text]
    assert len(programs) > 6
    names: dict[str, object] = {}
    for program in programs:
        exec(program, names)
    said = capsys.readouterr().out
    assert said.startswith("What is 2 + 2? ")  # the model of the tests repeats what it is told
    assert "['echo']" in said
    assert "MODEL_NOT_FOUND" in said
