"""The machine itself: Python, the platform, memory, open files and room on its disks."""

import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from hyperinfer import __version__
from hyperinfer.cli.checks import Finding, Here, fail, ok, warn
from hyperinfer.kernel.open_files import allowed

OLDEST = (3, 11)
ARCHITECTURES = frozenset({"x86_64", "amd64", "aarch64", "arm64"})
"""Those that the driver's and the engine's packages are built for."""
GB = 10**9
LEAST_MEMORY_BYTES = 1 * GB
LOW_DISK_BYTES = 2 * GB
NO_DISK_BYTES = 200 * 10**6
OTHER_FILES = 224
"""What a process has open beside its connections, at most about."""
FEWEST_CONNECTIONS = 100


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    memory = psutil.virtual_memory()
    gateway = here.settings("gateway")
    return [
        python(sys.version_info[:3]),
        system(platform.system(), platform.machine(), platform.libc_ver()[0]),
        memory_left(memory.total, memory.available),
        *([open_files(allowed(), gateway.http.max_connections)] if gateway and allowed() else []),
        *_disks(here),
    ]


def python(version: tuple[int, ...]) -> Finding:
    """Judge the version of Python."""
    found = f"{'.'.join(map(str, version))}, hyperinfer {__version__}"
    if version[:2] < OLDEST:
        return fail("Python", found, "Install Python 3.11 or newer, and hyperinfer again with it.")
    return ok("Python", found)


def system(name: str, architecture: str, libc: str) -> Finding:
    """Judge the platform. `libc` is what `platform.libc_ver` calls it, empty for another one than glibc."""
    found = f"{name} on {architecture}"
    if name == "Windows":
        mend = "Run it under WSL, or set net.driver and inference.llamacpp.enabled to false."
        return warn("platform", f"{found}: neither the swarm driver nor the embedded engine runs there yet.", mend)
    if architecture.lower() not in ARCHITECTURES:
        mend = "Use a machine with x86-64 or arm64, or try with net.driver=false and another server for the models."
        return warn("platform", f"{found}: the driver and the engine are not built for it.", mend)
    if name == "Linux" and libc != "glibc":
        mend = "Use a distribution with glibc, such as Debian; in a container, its image."
        return warn("platform", f"{found} without glibc, which the driver's packages need.", mend)
    return ok("platform", found)


def memory_left(total_bytes: int, available_bytes: int) -> Finding:
    """Judge the memory."""
    found = f"{available_bytes / GB:.1f} of {total_bytes / GB:.1f} GB are available"
    if available_bytes < LEAST_MEMORY_BYTES:
        mend = "End what takes most of it. A worker that runs no model needs some 200 MB, the small model 400 MB more."
        return warn("memory", found, mend)
    return ok("memory", found)


def open_files(limit: int, connections: int) -> Finding:
    """Judge how many files a process may have open, of which each connection is one."""
    room = limit - OTHER_FILES
    if room >= connections:
        return ok("open files", f"{limit:,}")
    found = f"{limit:,}: room for about {max(0, room):,} connections at once of the {connections:,} that are allowed"
    if room < FEWEST_CONNECTIONS:
        return warn("open files", found, "Run `ulimit -n 8192` before it; a service of systemd: LimitNOFILE=8192.")
    return ok("open files", found)


def disk(names: Sequence[str], place: Path, free_bytes: int) -> Finding:
    """Judge the room on the disk that these folders are on."""
    what = f"disk ({', '.join(names)})"
    found = f"{free_bytes / GB:.1f} GB free under {place}"
    if free_bytes < NO_DISK_BYTES:
        mend = "Make room now: accounts and usage cannot be written on a full disk."
        return fail(what, found, mend)
    if free_bytes < LOW_DISK_BYTES:
        return warn(what, found, "Make room: `hyperinfer models local` shows what models take.")
    return ok(what, found)


def _disks(here: Here) -> Iterator[Finding]:
    """Each disk once, with the names of what is on it."""
    on: dict[int, tuple[Path, list[str]]] = {}
    for name, folder in _folders(here):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        on.setdefault(there.stat().st_dev, (there, []))[1].append(name)
    for place, names in on.values():
        yield disk(names, place, shutil.disk_usage(place).free)


def _folders(here: Here) -> Iterator[tuple[str, Path]]:
    paths = next((here.paths(wtype) for wtype in here.loaded), None)
    if paths is None:
        yield "home", here.home
        return
    yield from (("data", paths.data.parent), ("logs", paths.logs), ("models", paths.models))
