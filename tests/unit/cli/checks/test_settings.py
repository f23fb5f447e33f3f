"""What is made of settings, and of what overrides them."""

import json
from pathlib import Path

import pytest

from hyperinfer.cli.checks import Verdict, settings

from .conftest import Look


async def test_settings_that_are_understood(look: Look) -> None:
    found = await settings.check(look())
    assert [one.verdict for one in found] == [Verdict.OK]


async def test_what_is_not_understood_is_told_once_with_where_it_came_from(tmp_path: Path, look: Look) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/common.json").write_text(json.dumps({"nett": {}}))
    found = await settings.check(look())
    assert [one.verdict for one in found] == [Verdict.FAIL]
    assert "nett is not a setting (from common.json)" in found[0].found
    assert "config path" in found[0].mend


async def test_one_broken_worker_leaves_the_others(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_GATEWAY__HTTP__PORT", "many")
    place = look()
    assert sorted(place.loaded) == ["auth", "client", "inference", "metrics"]
    found = await settings.check(place)
    assert found[0].verdict is Verdict.FAIL
    assert "environment variable" in found[0].mend


async def test_variables_that_override_settings_are_named(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("PORT", "3210")
    monkeypatch.setenv("HYPERINFER_COMMON__NET__DRIVER", "false")
    monkeypatch.setenv("HYPERINFER_GATEWY__HTTP__PORT", "1")
    found = {one.verdict: one for one in await settings.check(look()) if one.what == "environment"}
    said = found[Verdict.OK].found
    assert "HYPERINFER_COMMON__NET__DRIVER sets net.driver;" in said
    assert "PORT sets client.http.port, gateway.http.port" in said
    assert "HYPERINFER_GATEWY__HTTP__PORT" in found[Verdict.WARN].found


def test_a_file_that_nobody_reads(tmp_path: Path) -> None:
    for name in ("gateway.json", "common.json", "production.auth.json", "gatewy.json"):
        (tmp_path / name).write_text("{}")
    [found] = settings.misplaced(tmp_path)
    assert "gatewy.json in" in found.found
    assert "gateway.json" in found.mend
