"""The command run in this process, in a home of its own."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hyperinfer.cli.root import run
from hyperinfer.sdk import profile
from hyperinfer.testing.answers import saying
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which everything is: data, configuration, profile."""
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in ("DEBUG", "NO_COLOR", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def command(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with this on standard input."""

    def start(*arguments: str, stdin: str = "") -> Done:
        given = home / "stdin"
        given.write_text(stdin)
        capfd.readouterr()
        with given.open() as source:
            monkeypatch.setattr(sys, "stdin", source)
            code = run(arguments)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return start


@pytest.fixture
def gateway() -> FakeGateway:
    """A gateway whose models answer."""
    return FakeGateway(processInferenceRequest=saying(["fo", "ur."]))


@pytest.fixture
def url(home: Path, gateway: FakeGateway) -> Iterator[str]:
    """That gateway, of which the profile holds an API key."""
    with served(gateway) as address:
        profile.save(profile.Account(gateway=address, api_key="hi_key"))
        yield address


class Terminal(io.StringIO):
    """Standard output as a terminal has it."""

    def isatty(self) -> bool:
        return True
