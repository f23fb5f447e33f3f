"""`hyperinfer models pull | local | rm | recommended`, from a hub and an Ollama on loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from hyperinfer.cli.progress import Bar
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.servers.hub import HubServer, Repo
from hyperinfer.testing.servers.ollama import OllamaServer
from hyperinfer.workers.inference.hub.recommended import recommended

from .conftest import Command

CONTENT = b"GGUF" + bytes(range(256)) * 4096
FILE = "models/org/tiny-GGUF/tiny-Q4_K_M.gguf"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The hub that HF_ENDPOINT names."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(home / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer.served({"org/tiny-GGUF": Repo({"tiny-Q4_K_M.gguf": CONTENT}, token="")}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """The Ollama that OLLAMA_URL names."""
    server, thread = OllamaServer(registry={"llama3.2": 2_000_000_000}), LoopThread()
    thread.run(server.start())
    monkeypatch.setenv("OLLAMA_URL", server.url)
    yield server
    thread.run(server.stop())
    thread.close()


# --- from a hub ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hub")
def test_a_model_is_pulled_listed_and_removed(command: Command, home: Path) -> None:
    done = command("models", "pull", "org/tiny-GGUF")
    assert done.code == 0, done.err
    assert done.out == f"tiny-q4_k_m is in {home}/models/org/tiny-GGUF (1.0 MB).\n"
    assert "tiny-Q4_K_M.gguf: 100 %" in done.err
    assert (home / FILE).read_bytes() == CONTENT

    assert command("models", "local").out.splitlines() == [
        "MODEL        STATE  SIZE    FROM",
        "tiny-q4_k_m  here   1.0 MB  org/tiny-GGUF",
    ]
    again = command("models", "pull", "org/tiny-GGUF:Q4_K_M", "--json")
    assert json.loads(again.out) == {
        "model": "tiny-q4_k_m",
        "repo": "org/tiny-GGUF",
        "commit": json.loads(again.out)["commit"],
        "files": [str(home / FILE)],
        "size_bytes": len(CONTENT),
        "fetched_bytes": 0,
    }

    assert command("models", "rm", "tiny-q4_k_m", stdin="n\n").code == 130
    assert (home / FILE).exists()
    done = command("models", "rm", "tiny-q4_k_m", stdin="y\n")
    assert (done.code, done.out) == (0, "tiny-q4_k_m is removed.\n")
    assert "Remove tiny-q4_k_m (1.0 MB) from" in done.err
    assert "There is no model in" in command("models", "local").err
    assert command("models", "rm", "tiny-q4_k_m", "--yes").code == 1


def test_what_fails_is_one_sentence(command: Command, hub: HubServer) -> None:
    for name, says in (
        ("tiny", "Name a repository"),
        ("org/none", "set HF_TOKEN"),
        ("org/tiny-GGUF:Q8_0", "It has Q4_K_M"),
    ):
        done = command("models", "pull", name)
        assert (done.code, done.out) == (1, "")
        assert says in done.err
        assert len(done.err.splitlines()) == 1
    hub.faults.wrong_bytes = 1
    assert "not what the hub announced" in command("models", "pull", "org/tiny-GGUF").err


def test_a_token_is_taken_from_the_environment(
    command: Command, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["org/tiny-GGUF"].token = "hf_secret"
    assert command("models", "pull", "org/tiny-GGUF").code == 1
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    done = command("models", "pull", "org/tiny-GGUF")
    assert done.code == 0
    assert "hf_secret" not in done.out + done.err


@pytest.mark.slow
def test_ctrl_c_leaves_a_part_that_the_next_pull_goes_on_with(command: Command, hub: HubServer, home: Path) -> None:
    hub.faults.stalls = True
    with subprocess.Popen(
        [sys.executable, "-m", "hyperinfer", "models", "pull", "org/tiny-GGUF"],
        env={**os.environ, "HYPERINFER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "40 %" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "`hyperinfer models pull org/tiny-GGUF` goes on with it" in rest
    assert "Traceback" not in rest
    [row] = json.loads(command("models", "local", "--json").out)
    assert not row["is_whole"]
    assert 0 < row["size_bytes"] < len(CONTENT)
    assert "% pulled" in command("models", "local").out

    hub.faults.stalls = False
    sent = hub.record.sent_bytes
    assert command("models", "pull", "org/tiny-GGUF").code == 0
    assert (home / FILE).read_bytes() == CONTENT
    assert hub.record.sent_bytes - sent == len(CONTENT) - row["size_bytes"]


def test_a_terminal_sees_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(console=Console(stderr=True, force_terminal=True, width=80)) as bars:
        bar = Bar(bars)
        bar.at(1)  # before any file there is nothing to show
        bar.file("m.gguf", 100)
        bar.at(40)
        bar.at(100)
        bar.note("[done]")
        [task] = bars.tasks
        assert (task.completed, task.total, task.description) == (100, 100, "m.gguf")
    assert "[done]" in capsys.readouterr().err


# --- by Ollama -------------------------------------------------------------------------------------------------


def test_ollama_pulls_a_model_itself(command: Command, ollama: OllamaServer) -> None:
    done = command("models", "pull", "ollama:llama3.2")
    assert (done.code, done.out) == (0, "Ollama has llama3.2.\n")
    assert "2,000.0 MB" in done.err
    assert "100 %" in done.err
    assert "llama3.2" in ollama.models
    assert json.loads(command("models", "pull", "ollama:llama3.2", "--json").out)["size_bytes"] == 2_000_000_000


def test_what_ollama_does_not_have_or_allow_is_said(command: Command, ollama: OllamaServer) -> None:
    done = command("models", "pull", "ollama:none")
    assert (done.code, done.err.splitlines()[-1]) == (1, "Ollama's library has no model none.")
    ollama.will.key = "k"
    assert "ollama.api_key" in command("models", "pull", "ollama:llama3.2").err
    assert command("models", "pull", "ollama:x", "--mmproj").code == 2


def test_an_ollama_that_is_not_there_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_URL", "http://127.0.0.1:9")
    done = command("models", "pull", "ollama:x")
    assert done.code == 1
    assert "Does it run?" in done.err


# --- recommended -----------------------------------------------------------------------------------------------


def test_recommended_models_say_what_they_need(command: Command) -> None:
    done = command("models", "recommended")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1 + len(recommended().models)
    assert "not tried here" in done.err
    assert command("models", "pull").out.splitlines()[0] == done.out.splitlines()[0]
    listed = json.loads(command("models", "recommended", "--json").out)
    assert listed["as_of"] == str(recommended().as_of)
    assert {row["fits"] for row in listed["models"]} <= {"yes", "tight", "no"}
