"""What shells complete: commands, options and values, at once, and silently where nothing is known."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperinfer.cli import guesses
from hyperinfer.contracts import gateway as contract
from hyperinfer.sdk import profile
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

Complete = Callable[..., list[str]]


@pytest.fixture
def completed(command: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What is offered for the last of some words."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))

    def complete(*words: str) -> list[str]:
        with monkeypatch.context() as shell:
            shell.setenv("_HYPERINFER_COMPLETE", "bash_complete")
            shell.setenv("COMP_WORDS", " ".join(("hyperinfer", *words)))
            shell.setenv("COMP_CWORD", str(len(words)))
            done = command()
        assert done.err == ""
        return [line.partition(",")[2] for line in done.out.splitlines() if line]

    return complete


@pytest.fixture
def models(gateway: FakeGateway) -> FakeGateway:
    gateway.answers["listModels"] = always(
        contract.PublicModels(
            models=tuple(
                contract.PublicModel(id=name, created=1, workers=1, slots=1, busy=0, context_tokens=1)
                for name in ("qwen3-4b", "smollm2")
            )
        )
    )
    return gateway


def test_commands_and_options(completed: Complete) -> None:
    assert completed("st") == ["status"]
    assert "keys" in completed("")
    assert completed("keys", "cr") == ["create"]
    assert completed("ask", "--mo") == ["--model"]


def test_values_that_are_always_known(completed: Complete) -> None:
    assert completed("worker", "--wtype", "ga") == ["gateway"]
    assert completed("completion", "f") == ["fish"]


def test_models_are_asked_of_the_gateway_and_then_remembered(
    completed: Complete, url: str, models: FakeGateway
) -> None:
    assert completed("ask", "--model", "") == ["qwen3-4b", "smollm2"]
    assert completed("ask", "--gateway", url, "--model", "q") == ["qwen3-4b"]
    assert len(models.calls) == 1


def test_models_of_before_are_offered_while_the_gateway_is_away(
    completed: Complete, models: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(models) as url:
        profile.save(profile.Account(gateway=url, api_key="hi_key"))
        completed("chat", "--model", "")
    monkeypatch.setattr(guesses, "FRESH_S", 0.0)
    assert completed("chat", "--model", "s") == ["smollm2"]


def test_profiles_and_gateways(completed: Complete) -> None:
    profile.save(profile.Account(gateway="https://ai.example", username="ada", profile="work"))
    profile.save(profile.Account(gateway="https://ai.example", username="bob", profile="play"))
    assert completed("ask", "--profile", "w") == ["work"]
    assert completed("profile", "use", "") == ["play", "work"]
    assert completed("ask", "--gateway", "h") == ["https://ai.example"]


def test_nothing_known_is_nothing_offered_at_once(completed: Complete, home: Path) -> None:
    assert completed("ask", "--model", "") == []
    profile.path().parent.mkdir(parents=True, exist_ok=True)
    profile.path().write_text("damaged")
    began = time.monotonic()
    assert completed("ask", "--model", "") == []
    assert completed("ask", "--profile", "") == []
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_one_that_it_reads(command: Command, tmp_path: Path, shell: str) -> None:
    done = command("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_HYPERINFER_COMPLETE={shell}_complete" in done.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.out)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, timeout=10)
