"""What a process takes of its machine, by the names that Prometheus' own clients use: the same for all workers in it."""

import asyncio
import platform
import secrets
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
from prometheus_client import GC_COLLECTOR
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from hyperinfer import __version__
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background

PROCESS_ID = secrets.token_hex(8)
"""Tells this run of this process from every other: workers that show the same one share what is said here."""
TICK_S = 0.5
LATEST_TICKS = 20
"""How many ticks back the longest delay is looked for."""
CHILDREN_EVERY_TICKS = 20
PROGRAMS = ("driver", "engine", "other")


@asynccontextmanager
async def measuring(clock: Clock) -> AsyncIterator["ProcessMeters"]:
    """Measure this process for the length of the block: once, for all workers in it."""
    meters = ProcessMeters(clock)
    async with background(meters.run(), name="process"):
        yield meters


class ProcessMeters:
    """CPU, memory, files and threads of this process and of those it has started, how late its event loop is, and its machine's
    CPU and memory. Read whenever somebody looks; children and delays by `run`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process = psutil.Process()
        self._children = Children(self._process)
        self._delays_s: deque[float] = deque((0.0,), maxlen=LATEST_TICKS)

    async def run(self) -> None:
        """Keep looking how late the event loop is, and now and then what children take, until cancelled."""
        while True:
            await asyncio.to_thread(self._children.look)
            for _ in range(CHILDREN_EVERY_TICKS):
                due = self._clock.monotonic() + TICK_S
                await self._clock.sleep(TICK_S)
                self._delays_s.append(max(0.0, self._clock.monotonic() - due))

    def collect(self) -> Iterator[Metric]:
        """Everything about it."""
        yield InfoMetricFamily(
            "ai_platform_process",
            "Which process a worker is part of.",
            {"process": PROCESS_ID, "version": __version__, "python": platform.python_version()},
        )
        yield GaugeMetricFamily(
            "ai_platform_event_loop_lag_seconds",
            f"The longest delay of the event loop in the last {TICK_S * LATEST_TICKS:g} seconds.",
            max(self._delays_s),
        )
        yield from self._own()
        yield from self._children.shown()
        yield from _machine()
        yield from GC_COLLECTOR.collect()

    def _own(self) -> Iterator[Metric]:
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
            yield CounterMetricFamily("process_cpu_seconds", "CPU time, user and system.", times.user + times.system)
            yield GaugeMetricFamily("process_resident_memory_bytes", "Memory that is held in RAM.", memory.rss)
            yield GaugeMetricFamily("process_virtual_memory_bytes", "Memory that is addressed.", memory.vms)
            yield GaugeMetricFamily("process_threads", "Threads.", self._process.num_threads())
            yield GaugeMetricFamily(
                "process_start_time_seconds", "When it started, since the epoch.", self._process.create_time()
            )
        if sys.platform != "win32":
            import resource  # not on Windows

            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            yield GaugeMetricFamily("process_open_fds", "Open files and sockets.", self._process.num_fds())
            yield GaugeMetricFamily("process_max_fds", "How many it may have open.", soft)


@dataclass(frozen=True, slots=True)
class _Child:
    program: str
    cpu_s: float
    memory_bytes: int


class Children:
    """The processes that this one has started, theirs included. What ended ones took of the CPU stays counted."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._running: dict[tuple[int, float], _Child] = {}
        self._ended_s = dict.fromkeys(PROGRAMS, 0.0)

    def look(self) -> None:
        """Look for them anew: some milliseconds, so from a thread."""
        found: dict[tuple[int, float], _Child] = {}
        for process in self._process.children(recursive=True):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    found[(process.pid, process.create_time())] = _Child(
                        program=_program(process),
                        cpu_s=times.user + times.system,
                        memory_bytes=process.memory_info().rss,
                    )
            except psutil.Error:  # it has just ended
                continue
        ended_s = dict(self._ended_s)
        for key in self._running.keys() - found.keys():
            ended_s[self._running[key].program] += self._running[key].cpu_s
        self._running, self._ended_s = found, ended_s

    def shown(self) -> Iterator[Metric]:
        """By program: the swarm's driver, engines that run models, and others."""
        running, ended_s = self._running.values(), self._ended_s
        count = GaugeMetricFamily("ai_platform_child_processes", "Processes that were started.", labels=["program"])
        cpu = CounterMetricFamily("ai_platform_child_cpu_seconds", "CPU time of children.", labels=["program"])
        memory = GaugeMetricFamily(
            "ai_platform_child_resident_memory_bytes", "Memory of children in RAM.", labels=["program"]
        )
        for program in PROGRAMS:
            own = [child for child in running if child.program == program]
            count.add_metric([program], len(own))
            cpu.add_metric([program], ended_s[program] + sum(child.cpu_s for child in own))
            memory.add_metric([program], sum(child.memory_bytes for child in own))
        yield from (count, cpu, memory)


def _program(process: psutil.Process) -> str:
    """What a child is: the driver is our only Node, and an engine the only other Python."""
    name = process.exe().replace("\\", "/").rpartition("/")[2].lower()
    if name.startswith("node"):
        return "driver"
    return "engine" if name.startswith("python") else "other"


def _machine() -> Iterator[Metric]:
    memory, times = psutil.virtual_memory(), psutil.cpu_times()
    yield GaugeMetricFamily("ai_platform_host_cpus", "Processors of the machine.", psutil.cpu_count() or 1)
    yield CounterMetricFamily(
        "ai_platform_host_cpu_busy_seconds",
        "CPU time of everything on the machine.",
        sum(times)
        - times.idle
        - getattr(times, "iowait", 0.0)
        - getattr(times, "guest", 0.0)
        - getattr(times, "guest_nice", 0.0),
    )
    yield GaugeMetricFamily("ai_platform_host_memory_bytes", "Memory of the machine.", memory.total)
    yield GaugeMetricFamily(
        "ai_platform_host_memory_available_bytes", "Memory that programs can still have.", memory.available
    )
