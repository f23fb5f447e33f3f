"""What a process takes is what the system says, and what ended children took stays counted."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry

from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.disk_meters import DiskMeters
from hyperinfer.kernel.process_meters import LATEST_TICKS, PROCESS_ID, TICK_S, Children, ProcessMeters
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.eventually import eventually

BURN = "import sys\nwhile sum(range(1000)) and __import__('time').process_time() < 0.2: pass\nprint(1, flush=True)\nsys.stdin.read()"


def registry_of(meters: ProcessMeters) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(meters)
    return registry


def test_the_figures_are_the_system_s() -> None:
    registry, process = registry_of(ProcessMeters(ManualClock())), psutil.Process()
    value = registry.get_sample_value
    before = process.cpu_times()
    cpu_s = value("process_cpu_seconds_total")
    assert cpu_s is not None
    assert before.user + before.system <= cpu_s <= sum(process.cpu_times()[:2])
    rss = value("process_resident_memory_bytes")
    assert rss is not None
    assert abs(rss - process.memory_info().rss) < 2**24
    fds = value("process_open_fds")
    with open(os.devnull) as _:  # noqa: PTH123 - one more file is open
        assert value("process_open_fds") == (fds or 0) + 1
    assert value("process_start_time_seconds") == process.create_time()
    assert value("process_threads") == process.num_threads()
    assert value("ai_platform_host_cpus") == psutil.cpu_count()


def test_which_process_it_is_is_said_by_an_id_of_its_run() -> None:
    [info] = [metric for metric in ProcessMeters(ManualClock()).collect() if metric.name == "ai_platform_process"]
    assert info.samples[0].labels["process"] == PROCESS_ID
    assert len(PROCESS_ID) == 16


async def test_a_loop_that_is_late_shows_for_a_while() -> None:
    clock = ManualClock()
    meters = ProcessMeters(clock)
    registry = registry_of(meters)

    def lag() -> float:
        return registry.get_sample_value("ai_platform_event_loop_lag_seconds") or 0.0

    async def sleeps() -> bool:
        return bool(clock._sleepers)

    async def tick(seconds: float) -> None:
        clock.advance(seconds)
        await eventually(sleeps)

    async with background(meters.run(), name="meters"), asyncio.timeout(10):
        await eventually(sleeps)
        await tick(TICK_S)
        assert lag() == 0
        await tick(TICK_S + 1.25)
        assert lag() == 1.25
        for _ in range(LATEST_TICKS - 1):
            await tick(TICK_S)
        assert lag() == 1.25
        await tick(TICK_S)
        assert lag() == 0


def test_children_are_counted_by_program_and_ended_ones_stay_counted() -> None:
    children = Children(psutil.Process())

    def shown(name: str, program: str) -> float:
        found = {metric.name: metric for metric in children.shown()}
        [value] = [sample.value for sample in found[name].samples if sample.labels["program"] == program]
        return value

    children.look()
    before, count = shown("ai_platform_child_cpu_seconds", "engine"), shown("ai_platform_child_processes", "engine")
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        children.look()
        assert shown("ai_platform_child_processes", "engine") == count + 1
        assert shown("ai_platform_child_resident_memory_bytes", "engine") > 2**20
        running_s = shown("ai_platform_child_cpu_seconds", "engine") - before
        assert running_s >= 0.15
    children.look()
    assert shown("ai_platform_child_processes", "engine") == count
    assert shown("ai_platform_child_cpu_seconds", "engine") >= before + running_s
    assert shown("ai_platform_child_cpu_seconds", "driver") == 0


def test_the_disk_is_the_one_with_the_data(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(DiskMeters(tmp_path))
    usage = psutil.disk_usage(str(tmp_path))
    assert registry.get_sample_value("ai_platform_disk_size_bytes") == usage.total
    free = registry.get_sample_value("ai_platform_disk_free_bytes")
    assert free is not None
    assert abs(free - usage.free) < 2**30
    registry = CollectorRegistry()
    registry.register(DiskMeters(tmp_path / "gone"))
    assert registry.get_sample_value("ai_platform_disk_size_bytes") is None
