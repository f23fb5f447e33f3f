"""Where a worker keeps its things, and the lock that keeps a second worker out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from hyperinfer.errors import StartError
from hyperinfer.kernel.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders and files of one worker, absolute. `data` and `swarm` are the owner's alone (0700); `models` is shared by
    all workers of a home."""

    name: str
    data: Path
    logs: Path
    status: Path
    swarm: Path
    models: Path

    @property
    def identity(self) -> Path:
        """The worker's seed."""
        return self.data / "identity"


def folder_name(wtype: str, rack: str | None) -> str:
    """`<wtype>`, or `<wtype>-<rack>`, so that several workers of a type share a machine."""
    return f"{wtype}-{rack}" if rack else wtype


def models_folder(home: Path) -> Path:
    """Where the models' files of this machine are, for whoever fetches them and whoever runs them."""
    return home / "models"


def paths_of(wtype: str, settings: WorkerSettings, *, home: Path, rack: str | None = None) -> Paths:
    """A worker's folders under a home folder; nothing is made yet."""
    name = folder_name(wtype, rack)
    data = home / settings.data_dir
    return Paths(
        name=name,
        data=data / name,
        logs=home / settings.log.dir,
        status=home / settings.status_dir / f"{name}.json",
        swarm=home / settings.swarm.dir if settings.swarm.dir else data / "swarm",
        models=models_folder(home),
    )


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Make the data folder and hold it for this process; raises `StartError` where another worker holds it."""
    try:
        paths.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths.data.chmod(0o700)
    except OSError as error:
        raise StartError(f"Cannot use the data folder {paths.data}: {error.strerror}.") from error
    lock = FileLock(paths.data / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StartError(
            f"Another worker runs on {paths.data}. Stop it first; a second worker of its type takes a --rack of its own."
        ) from error
    try:
        yield
    finally:
        lock.release()
