"""The dashboard for Grafana is whole, and asks Prometheus for what there is, as the rules of alerts do."""

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from hyperinfer.workers.metrics.alerts.rules import ALL, TOO_MANY

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "grafana" / "hyperinfer.json"
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "grafana_dashboard.py"))
QUERIES: list[str] = list(SCRIPT["queries"]())
METRIC = re.compile(r"\b(?:ai_platform|process)_[a-z0-9_]+\b(?!\s*[=!]~?\")")
PARTS = re.compile(r"_(?:bucket|count|sum)$")


def test_the_file_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == SCRIPT["text"](), "run scripts/grafana_dashboard.py"


def test_it_is_whole() -> None:
    dashboard = json.loads(FILE.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert dashboard["title"]
    assert dashboard["schemaVersion"] >= 36
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [title for title, _ in SCRIPT["ROWS"]]
    for panel in panels:
        assert panel["title"]
        for target in panel.get("targets", ()):
            assert target["expr"]
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs)
    assert {one["name"] for one in dashboard["templating"]["list"]} == {"source", "worker"}


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(FILE.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.needs_prometheus
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(QUERIES)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    ran = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(QUERIES)} rules found" in ran.stdout


def test_everything_that_is_asked_for_exists() -> None:
    """By the page on metrics, which is made from the workers' own."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    there = set(re.findall(r"`((?:ai_platform|process)_[a-z0-9_]+)", page))
    asked = {name for text in (*QUERIES, *(rule.expr for rule in (*ALL, TOO_MANY))) for name in METRIC.findall(text)}
    assert len(asked) > 40
    unknown = {name for name in asked if name not in there and PARTS.sub("", name) not in there}
    assert not unknown
