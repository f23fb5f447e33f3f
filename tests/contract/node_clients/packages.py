"""Clients for Node as npm has them, installed once into a cache folder named by the lock file's hash, and ours beside them.

`python -m tests.contract.node_clients.packages` installs them ahead of the tests.
"""

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from hyperinfer.facilities.net.driver import install

HERE = Path(__file__).parent
OURS = HERE.parents[2] / "sdk-js"
LISTS = ("package.json", "package-lock.json")
DONE = "installed"


async def ensure_installed() -> Path:
    """The folder that holds them; several processes may ask at once."""
    stamp = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LISTS)).hexdigest()[:16]
    target = user_cache_path("hyperinfer") / "node-clients" / stamp
    target.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock", thread_local=False)
    await asyncio.to_thread(lock.acquire, timeout=install.INSTALL_TIMEOUT_S)
    try:
        if not (target / DONE).exists():
            for name in LISTS:
                shutil.copy(HERE / name, target / name)
            await install._npm_ci(target, install.node_path())
            (target / DONE).touch()
    finally:
        lock.release()
    return target


@contextmanager
def project() -> Iterator[Path]:
    """A folder of somebody's application, from which all of them can be imported, ours as it would be published."""
    installed = asyncio.run(ensure_installed())
    with tempfile.TemporaryDirectory(prefix="app-", dir=installed) as made:
        app = Path(made)
        ours = app / "node_modules" / "hyperinfer-client"
        ours.mkdir(parents=True)
        for name in ("package.json", *json.loads((OURS / "package.json").read_bytes())["files"]):
            copy = shutil.copytree if (OURS / name).is_dir() else shutil.copy
            copy(OURS / name, ours / name)
        shutil.copytree(HERE / "js", app, dirs_exist_ok=True)
        yield app


if __name__ == "__main__":
    asyncio.run(ensure_installed())
