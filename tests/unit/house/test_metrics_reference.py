"""The page on metrics says what workers show, and what they show is as Prometheus has it."""

import asyncio
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # it runs a swarm

ROOT = Path(__file__).parents[3]
WORKERS = ("auth", "gateway", "inference", "client", "metrics")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "metrics_reference.py"))


@pytest.fixture(scope="module")
def looked(script: dict[str, Any]) -> Any:
    return asyncio.run(script["look"]())


def test_the_reference_is_up_to_date(script: dict[str, Any], looked: Any) -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert page == script["page"](looked), "run scripts/metrics_reference.py"


@pytest.mark.parametrize("wtype", WORKERS)
def test_names_are_ours_or_everybodys(looked: Any, wtype: str) -> None:
    names = [metric.name for metric in looked[wtype].metrics]
    assert len(names) == len(set(names))
    assert all(name.startswith(("ai_platform_", "process_", "python_gc_")) for name in names)
    assert "_created" not in looked[wtype].text


@pytest.mark.needs_prometheus
@pytest.mark.parametrize("wtype", WORKERS)
def test_prometheus_own_checks_have_nothing_to_say(looked: Any, wtype: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=looked[wtype].text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
