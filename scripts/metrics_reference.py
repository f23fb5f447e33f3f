"""Writes docs/reference/metrics.md from what a swarm of one worker of each type shows; a test holds the two together."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.compose import Part
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.testing.certificates import Authority
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.client.worker import WORKER as CLIENT
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE
from hyperinfer.workers.metrics.worker import WORKER as METRICS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"

HEAD = """# Metrics

<!-- Written by scripts/metrics_reference.py from what workers show; change that, then run it again. -->

What each worker shows at `/metrics` of its own port, and to the metrics worker, which shows all of it together with the labels `worker` and `wtype`: [Metrics](../guides/metrics.md).
Times are in seconds, sizes in bytes; what ends in `_total` only grows, until its process starts again.

**Labels are bounded.** Values are names of our own (methods, codes of errors, routes, states), names of models that workers have, and names of workers. None comes from what somebody wrote. Models share `other` beyond
the 100th, tiers beyond the 32nd. What has gone (a model, a worker, a tier) is shown no more: at once where it is a state, after an hour where it was counted. A worker shows fewer than 20,000 series whatever happens.
People and API keys are labels nowhere, unless `gateway.metrics.per_user` or `per_key` says so: then by id, and beyond `gateway.metrics.max_labels` as `other`.

**Histograms** are classic ones, with bounds fit for inference. Native ones are scraped in protobuf alone, which Prometheus' client for Python does not write; Prometheus 3 makes them of ours with
`convert_classic_histograms_to_nhcb: true`.

**Workers of one process** show the same `process_…`, `python_…`, `ai_platform_child_…`, `ai_platform_host_…` and `ai_platform_event_loop_lag_seconds`: do not add them up. `ai_platform_process_info` tells by `process` which belong together, as `getServiceHealth` does.
"""
TITLES = {
    "auth": "Auth",
    "gateway": "Gateway",
    "inference": "Inference",
    "client": "Client (the bridge)",
    "metrics": "Metrics worker",
}
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, order=True)
class Described:
    """One metric as its readers see it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Looked:
    """What one worker shows."""

    text: str
    metrics: tuple[Described, ...]


async def look() -> Mapping[str, Looked]:
    """Run one worker of each type, with all that can be counted, and look at what it shows."""
    registries: dict[str, CollectorRegistry] = {}
    with TemporaryDirectory() as folder:
        async with swarm(_parts(Path(folder), registries), home=Path(folder)) as workers:

            async def has_been_counted() -> bool:
                return registries["auth"].get_sample_value("ai_platform_accounts", {"state": "active"}) is not None

            await eventually(has_been_counted, timeout_s=20)
            looked = {
                wtype: Looked(generate_latest(registry).decode(), tuple(sorted(_described(registry))))
                for wtype, registry in registries.items()
            }
            url = f"{workers['metrics'].addresses['observe']}/metrics"
            looked["metrics"] = await _with_collected(url, looked)
            return looked


def page(looked: Mapping[str, Looked]) -> str:
    """The page."""
    everywhere = set.intersection(*(set(one.metrics) for one in looked.values()))
    parts = [HEAD, _section("Every worker", sorted(everywhere))]
    parts += [
        _section(title, [one for one in looked[wtype].metrics if one not in everywhere])
        for wtype, title in TITLES.items()
    ]
    return "".join(parts)


def _parts(home: Path, registries: dict[str, CollectorRegistry]) -> Sequence[Part]:
    certificate, key = Authority(home).certify("localhost")
    everyones = {"tracing__endpoint": NOWHERE}
    return [
        part(_kept(AUTH, registries), home=home, **everyones),
        part(_kept(INFERENCE, registries), home=home, llamacpp__enabled=False, echo__enabled=True, **everyones),
        part(
            _kept(GATEWAY, registries),
            home=home,
            http__port=0,
            http__tls_certificate=str(certificate),
            http__tls_key=str(key),
            metrics__per_user=True,
            metrics__per_key=True,
            **everyones,
        ),
        part(_kept(CLIENT, registries), home=home, http__port=0, **everyones),
        part(_kept(METRICS, registries), home=home, **everyones),
    ]


async def _with_collected(url: str, looked: Mapping[str, Looked]) -> Looked:
    """What the metrics worker shows beside what it counts itself, and what others have told it."""
    own, text = looked["metrics"], ""

    async def has_collected() -> bool:
        nonlocal text
        async with ClientSession() as session, session.get(url) as reply:
            text = await reply.text()
        return "ai_platform_worker_up" in text

    await eventually(has_collected, timeout_s=20)
    known = {one.name for each in looked.values() for one in each.metrics}
    found = (_as_shown(metric, ()) for metric in text_string_to_metric_families(text))
    return Looked(text, tuple(sorted({*own.metrics, *(one for one in found if one.name not in known)})))


def _kept(worker: WorkerType[Any], registries: dict[str, CollectorRegistry]) -> WorkerType[Any]:
    """The same worker, its registry kept."""

    def opened(context: Context[Any], own: Caller) -> AbstractAsyncContextManager[Service]:
        registries[worker.name] = context.registry
        return worker.open(context, own)

    return replace(worker, open=opened)


def _described(registry: CollectorRegistry) -> Iterator[Described]:
    for collector in registry._collector_to_names:  # its public side tells labels only of what has been counted
        for metric in collector.collect():
            yield _as_shown(metric, _labels(collector, metric))


def _as_shown(metric: Metric, labels: tuple[str, ...]) -> Described:
    ending = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    return Described(metric.name + ending, metric.type, labels or _shown(metric), metric.documentation)


def _labels(collector: Any, metric: Metric) -> tuple[str, ...]:
    for of, name in ((metric, "_labelnames"), (collector, "label_names"), (collector, "_labelnames")):
        if found := getattr(of, name, ()):
            return tuple(found)
    return ()


def _shown(metric: Metric) -> tuple[str, ...]:
    return tuple(sorted({name for sample in metric.samples for name in sample.labels} - {"le"}))


def _section(title: str, metrics: Iterable[Described]) -> str:
    rows = "".join(
        f"| `{one.name}` | {one.kind} | {' '.join(f'`{label}`' for label in one.labels)} | {one.help} |\n"
        for one in metrics
    )
    return f"\n## {title}\n\n| metric | kind | labels | |\n|---|---|---|---|\n{rows}"


if __name__ == "__main__":
    PAGE.write_text(page(asyncio.run(look())), encoding="utf-8")
