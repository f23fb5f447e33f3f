"""Writes deploy/grafana/hyperinfer.json: what an operator looks at first, in rows from the whole to the single process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperinfer.workers.metrics.alerts.rules.requests import REQUESTS as PEOPLES
from hyperinfer.workers.metrics.collecting.figures import OUR_FAULTS

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "hyperinfer.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, ROW_HEIGHT = 24, 1
Query = tuple[str, str]
"""PromQL, and what its lines are called."""

FAULTS, REQUESTS = "|".join(OUR_FAULTS), "|".join(PEOPLES)
W = 'worker=~"$worker"'
DURATION = "ai_platform_request_duration_seconds"
ENDED = f'sum(rate(ai_platform_requests_total{{service="gateway",method=~"{REQUESTS}",{W}}}[$__rate_interval]))'
FAILED = ENDED.replace("}[", f',status=~"{FAULTS}"}}[')


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: what it asks, in which unit, and how wide it is in 24ths."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"
    height: int = 8
    stacked: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    steps: tuple[tuple[str, float | None], ...] = ()


def stat(title: str, query: str, unit: str = "short", *, steps: tuple[tuple[str, float | None], ...] = ()) -> Panel:
    """One number, coloured by the steps from which on it has a colour."""
    options = {
        "colorMode": "background" if steps else "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"]},
    }
    return Panel(title, ((query, ""),), unit, width=4, kind="stat", height=4, options=options, steps=steps)


def quantiles(title: str, histogram: str, labels: str, *, width: int = 8) -> Panel:
    """The half, 95 and 99 of 100."""
    rate = f"sum by (le) (rate({histogram}_bucket{{{labels}}}[$__rate_interval]))"
    found = tuple((f"histogram_quantile({q}, {rate})", f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))
    return Panel(title, found, "s", width=width)


def per_second(metric: str, by: str, labels: str = W) -> str:
    """How fast a counter grows, by some labels."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


BAD_ABOVE = (("green", None), ("red", 1.0))
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Overview",
        (
            stat("Workers up", "sum(ai_platform_worker_up)"),
            stat("Workers away", 'sum(1 - ai_platform_worker_up{wtype!="client"}) or vector(0)', steps=BAD_ABOVE),
            stat("Alerts firing", 'sum(ai_platform_alerts{state="firing"})', steps=BAD_ABOVE),
            stat("Requests", f'sum(rate({DURATION}_count{{service="gateway"}}[$__rate_interval]))', "reqps"),
            stat("Tokens", 'sum(rate(ai_platform_tokens_total{kind="completion"}[$__rate_interval]))', "short"),
            stat("People in 24 h", 'sum(ai_platform_active_users{time_window="24h"})'),
            Panel(
                "Requests by outcome",
                ((per_second("ai_platform_requests_total", "status", f'service="gateway",{W}'), "{{status}}"),),
                "reqps",
                stacked=True,
            ),
            Panel(
                "Failed by our fault",
                ((f"{FAILED} / {ENDED}", "share"),),
                "percentunit",
            ),
            quantiles("Time to the end of an answer", DURATION, f'service="gateway",{W}'),
            quantiles("Time to the first token", "ai_platform_first_token_seconds", W),
            quantiles("Time for each further token", "ai_platform_time_per_output_token_seconds", W),
            Panel(
                "Tokens by kind",
                ((per_second("ai_platform_tokens_total", "kind"), "{{kind}}"),),
                stacked=True,
            ),
        ),
    ),
    (
        "Queue and models",
        (
            Panel("Requests that wait", (("sum by (model) (ai_platform_queue_depth)", "{{model}}"),)),
            quantiles("Waiting for a slot", "ai_platform_queue_seconds", W),
            Panel(
                "Slots taken",
                (("sum by (model) (ai_platform_slots_busy) / sum by (model) (ai_platform_slots)", "{{model}}"),),
                "percentunit",
            ),
            Panel("Tokens by model", ((per_second("ai_platform_tokens_total", "model"), "{{model}}"),), stacked=True),
            Panel(
                "Refused by workers",
                ((per_second("ai_platform_inference_refused_total", "model, reason"), "{{model}} {{reason}}"),),
            ),
            Panel(
                "Given to another worker",
                (
                    (per_second("ai_platform_retries_total", "reason"), "again: {{reason}}"),
                    (per_second("ai_platform_resumes_total", "reason"), "gone on: {{reason}}"),
                ),
            ),
        ),
    ),
    (
        "Workers",
        (
            Panel(
                "Up",
                (("max by (worker) (ai_platform_worker_up)", "{{worker}}"),),
                kind="state-timeline",
                width=12,
                options={"showValue": "never"},
            ),
            Panel(
                "Backends and breakers",
                (
                    (f"min by (worker, backend) (ai_platform_inference_backend_up{{{W}}})", "{{worker}} {{backend}}"),
                    (
                        "1 - max by (peer, model) (ai_platform_breaker_open)",
                        "{{peer}} {{model}}: takes requests",
                    ),
                ),
                kind="state-timeline",
                width=12,
                options={"showValue": "never"},
            ),
        ),
    ),
    (
        "Limits and accounting",
        (
            Panel(
                "Refused for limits",
                ((per_second("ai_platform_rate_limit_violations_total", "limit, tier"), "{{tier}} {{limit}}"),),
            ),
            Panel(
                "Usage that auth has not taken in",
                ((f"max by (worker) (ai_platform_usage_waiting{{{W}}})", "{{worker}}"),),
            ),
            Panel(
                "Its oldest record",
                ((f"max by (worker) (ai_platform_usage_oldest_seconds{{{W}}})", "{{worker}}"),),
                "s",
            ),
        ),
    ),
    (
        "Net",
        (
            Panel(
                "Links by how they were made",
                ((f"sum by (how) (ai_platform_net_links{{{W}}})", "{{how}}"),),
                stacked=True,
            ),
            Panel(
                "Round trip",
                (
                    (
                        f"max by (worker, peer) (ai_platform_net_link_round_trip_seconds{{{W}}})",
                        "{{worker}} to {{peer}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Out of reach",
                (
                    (
                        f"sum by (worker, peer, reason) (ai_platform_net_unreachable{{{W}}})",
                        "{{worker}} to {{peer}}: {{reason}}",
                    ),
                ),
            ),
            Panel(
                "Bytes",
                ((per_second("ai_platform_net_link_bytes_total", "direction"), "{{direction}}"),),
                "Bps",
                width=12,
            ),
            Panel(
                "Driver restarts in 15 minutes",
                ((f"sum by (worker) (increase(ai_platform_net_driver_restarts_total{{{W}}}[15m]))", "{{worker}}"),),
                width=12,
            ),
        ),
    ),
    (
        "Processes",
        (
            Panel(
                "Processors",
                (
                    (per_second("process_cpu_seconds_total", "worker"), "{{worker}}"),
                    (
                        per_second("ai_platform_child_cpu_seconds_total", "worker, program"),
                        "{{worker}}: {{program}}",
                    ),
                ),
            ),
            Panel(
                "Memory",
                (
                    (f"max by (worker) (process_resident_memory_bytes{{{W}}})", "{{worker}}"),
                    (
                        f"sum by (worker, program) (ai_platform_child_resident_memory_bytes{{{W}}})",
                        "{{worker}}: {{program}}",
                    ),
                ),
                "bytes",
            ),
            Panel(
                "Event loop is late by",
                ((f"max by (worker) (ai_platform_event_loop_lag_seconds{{{W}}})", "{{worker}}"),),
                "s",
            ),
            Panel(
                "Open files",
                ((f"max by (worker) (process_open_fds{{{W}}} / process_max_fds{{{W}}})", "{{worker}}"),),
                "percentunit",
                width=12,
            ),
            Panel(
                "Disk left",
                (
                    (
                        f"min by (worker) (ai_platform_disk_free_bytes{{{W}}} / ai_platform_disk_size_bytes{{{W}}})",
                        "{{worker}}",
                    ),
                ),
                "percentunit",
                width=12,
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "__inputs": [],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ],
        "id": None,
        "uid": "hyperinfer",
        "title": "hyperinfer",
        "description": "A swarm that answers one private AI API.",
        "tags": ["hyperinfer"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "templating": {"list": [_source(), _workers()]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels()),
    }


def queries() -> Iterator[str]:
    """Every query, as Prometheus is asked it."""
    for _, panels in ROWS:
        for panel in panels:
            yield from (query.replace("$__rate_interval", "5m").replace("$worker", ".*") for query, _ in panel.queries)


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0}


def _workers() -> dict[str, Any]:
    return {
        "name": "worker",
        "type": "query",
        "label": "Worker",
        "datasource": SOURCE,
        "query": {"query": "label_values(ai_platform_worker_up, worker)", "refId": "workers"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "hide": 0,
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for title, panels in ROWS:
        place = {"x": 0, "y": y, "w": WIDTH, "h": ROW_HEIGHT}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        number, y, x, tallest = number + 1, y + ROW_HEIGHT, 0, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height})
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {"fillOpacity": 20, "showPoints": "never"} if panel.kind == "timeseries" else {}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    defaults: dict[str, Any] = {"unit": panel.unit, "custom": custom}
    if panel.steps:
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for color, value in panel.steps],
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": panel.options,
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": legend, "range": True}
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
