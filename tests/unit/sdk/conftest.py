"""A home of its own for the profile of every test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def profile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "hyperinfer" / "profile.json"
