"""A hub on loopback, and pulling from it with the real `huggingface_hub`."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hyperinfer.testing.servers.hub import HubServer, Repo
from hyperinfer.workers.inference.hub.client import Hub
from hyperinfer.workers.inference.hub.pull import Pull, Pulled
from hyperinfer.workers.inference.hub.wanted import parse

SIZE = 3 * 1024 * 1024


def model(seed: int, size: int = SIZE) -> bytes:
    """Bytes that begin as a GGUF file does."""
    return b"GGUF" + random.Random(seed).randbytes(size - 4)


class Told:
    """Progress, written down."""

    def __init__(self) -> None:
        self.files: list[tuple[str, int]] = []
        self.come: list[int] = []
        self.notes: list[str] = []
        self.on_progress: Callable[[int], None] = lambda _: None

    def file(self, name: str, size_bytes: int) -> None:
        self.files.append((name, size_bytes))

    def at(self, come_bytes: int) -> None:
        self.come.append(come_bytes)
        self.on_progress(come_bytes)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Puller:
    """Pulls from the hub into a folder, with its pauses written down instead of waited for."""

    def __init__(self, hub: HubServer, root: Path) -> None:
        self.hub = hub
        self.root = root
        self.told = Told()
        self.pauses: list[float] = []

    def __call__(
        self, name: str, *, token: str | None = None, revision: str | None = None, with_projector: bool = False
    ) -> Pulled:
        pull = Pull(Hub(self.hub.url, token), self.root, self.told, pause=self.pauses.append)
        return pull.run(parse(name), revision=revision, with_projector=with_projector)

    def visible(self) -> list[str]:
        """What workers see in the folder."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*.gguf"))


@pytest.fixture(autouse=True)
def _no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A hub with models of several kinds."""
    repos = {
        "org/model-GGUF": Repo(
            {
                "model-Q4_K_M.gguf": model(1),
                "model-Q8_0.gguf": model(2),
                "mmproj-F16.gguf": model(3, 1000),
                "README.md": b"#",
            }
        ),
        "org/split-GGUF": Repo({f"Q4_K_M/split-Q4_K_M-0000{n}-of-00002.gguf": model(10 + n) for n in (1, 2)}),
        "org/private-GGUF": Repo({"private-Q4_K_M.gguf": model(4, 1000)}, token="hf_secret"),
        "org/gated-GGUF": Repo({"gated-Q4_K_M.gguf": model(5, 1000)}, gated=True),
        "org/web-GGUF": Repo({"web-Q4_K_M.gguf": b"<html>Log in</html>" * 1000}),
        "other/model-GGUF": Repo({"model-Q4_K_M.gguf": model(6, 1000)}),
    }
    with HubServer.served(repos) as server:
        yield server


@pytest.fixture
def pull(hub: HubServer, tmp_path: Path) -> Puller:
    """Pulls into an empty folder."""
    return Puller(hub, tmp_path / "models")
