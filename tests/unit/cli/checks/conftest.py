"""A home of a test's own, as the checks see it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperinfer.cli.checks import Here
from hyperinfer.cli.checks.examination import here

Look = Callable[[], Here]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What there is in a home now; the person's own environment is none of it."""
    for name in tuple(os.environ):
        if name.startswith("HYPERINFER_") or name in ("DEBUG", "PORT", "DATABASE_URL", "REDIS_URL", "OLLAMA_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return here
