"""The command as a whole: help, speed of loading, exit codes, and one sentence for every failure."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hyperinfer.cli import models, root
from hyperinfer.cli.root import SECTIONS
from hyperinfer.errors import StartError

from .conftest import Command

HEAVY = {
    "aiohttp",
    "sqlalchemy",
    "structlog",
    "rich",
    "starlette",
    "uvicorn",
    "cryptography",
    "prompt_toolkit",
    "xllamacpp",
}
NAMES = [name for section in SECTIONS.values() for name in section]


def commands(parent: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, as its words."""
    if not isinstance(parent, click.Group):
        return [path]
    context = click.Context(parent)
    children = ((name, parent.get_command(context, name)) for name in parent.list_commands(context))
    found = [words for name, child in children if child for words in commands(child, (*path, name))]
    return [path, *found]


def test_help_lists_every_command(command: Command) -> None:
    done = command("--help")
    assert done.code == 0
    for name in NAMES:
        assert f"  {name} " in done.out


@pytest.mark.parametrize("name", NAMES)
def test_the_line_of_a_command_says_what_its_own_help_says_at_greater_length(name: str) -> None:
    child = root.root.get_command(click.Context(root.root), name)
    assert child is not None
    assert child.name == name
    assert child.help


@pytest.mark.parametrize("words", commands(root.root), ids=" ".join)
def test_every_help_fits_a_narrow_terminal(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words, "--help")
    assert done.code == 0
    assert done.out.startswith(" ".join(("Usage: hyperinfer", *words)))
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_help_loads_nothing_that_it_does_not_show() -> None:
    check = (
        "import sys; from hyperinfer.cli.root import run; run(['--help']);"
        "print(sorted({'aiohttp', 'msgspec', 'structlog', 'rich', 'sqlalchemy', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_help_of_a_command_loads_nothing_heavy() -> None:
    """Each in a process of its own would take a minute; what one of them loads, this one process shows."""
    check = (
        "import sys; from hyperinfer.cli.root import SECTIONS, run\n"
        "for section in SECTIONS.values():\n"
        "    for name in section:\n"
        "        run([name, '--help'])\n"
        f"        print('loaded', name, sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=30)
    lines = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    assert len(lines) == len(NAMES)
    assert [line for line in lines if not line.endswith("[]")] == []


@pytest.mark.parametrize("words", [("invite", "list"), ("link",), ("members", "list"), ("quota",), ("profile", "list")])
def test_what_is_done_on_this_machine_loads_no_database(home: Path, words: tuple[str, ...]) -> None:
    check = (
        "import sys; from hyperinfer.cli.root import run; run(['swarm', 'init', '--json']);"
        f"run({words!r}); print('loaded', sorted({{'sqlalchemy', 'alembic', 'uvicorn', 'xllamacpp'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("statsu",), "Did you mean 'status'?"),
        (("keys", "lsit"), "Did you mean 'list'?"),
        (("ask", "--modle", "m"), "Did you mean '--model'?"),
        (("quota", "--nonsense"), "There is --json, --gateway, --profile, --help."),
        (("completion", "tcsh"), "'bash', 'zsh', 'fish'"),
        (("help", "ky"), "No such command 'ky'"),
        (("help", "keys", "revok"), "Did you mean 'revoke'?"),
    ],
)
def test_what_is_mistyped_is_met_with_what_there_is(command: Command, words: tuple[str, ...], said: str) -> None:
    done = command(*words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_help_is_what_the_option_shows(command: Command) -> None:
    assert command("help").out == command("--help").out
    assert command("help", "keys", "create").out == command("keys", "create", "--help").out


def test_importing_the_package_loads_nothing_else() -> None:
    check = (
        "import sys, hyperinfer; print([name for name in sys.modules if name.startswith('hyperinfer.')]);"
        "from hyperinfer import Client; print(Client.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines() == ["[]", "Client"]


@pytest.mark.parametrize(
    "words", [("nonsense",), ("ask", "--nonsense"), ("worker",), ("worker", "--wtype", "x"), ("config", "show", "x")]
)
def test_a_wrong_use_is_one_sentence_that_points_to_the_help(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert "--help`." in done.err


def failing(error: BaseException) -> click.Command:
    def fail() -> None:
        raise error

    return click.Command("models", callback=fail)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StartError("It is broken. Mend it."), 1, "It is broken. Mend it.\n"),
        (ExceptionGroup("", [StartError("One."), StartError("Two.")]), 1, "One.\nTwo.\n"),
        (ValueError("odd"), 1, "hyperinfer failed: ValueError: odd. Run again with DEBUG=1 to see where.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_failure_is_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    monkeypatch.setattr(models, "command", failing(error))
    done = command("models")
    assert (done.code, done.out, done.err.lstrip()) == (code, "", said)  # after ^C a new line begins


def test_debug_shows_where(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    monkeypatch.setattr(models, "command", failing(ValueError("odd")))
    assert "Traceback" in command("models").err


def test_a_reader_that_goes_away_is_no_failure_of_ours() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hyperinfer", "--help"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_version_is_told(command: Command) -> None:
    assert command("--version").out == "hyperinfer 0.1.0\n"


@pytest.mark.parametrize("words", [words for words in commands(root.root) if words], ids=" ".join)
def test_every_help_has_an_example(command: Command, words: tuple[str, ...]) -> None:
    """Of a group it may be its commands' own."""
    help_ = command(*words, "--help").out
    assert "\n  Examples:\n    " in help_
    assert f"hyperinfer {' '.join(words)}" in help_.partition("\n  Examples:\n")[2]
    assert "...\n" not in help_.partition("\nOptions:")[2], "the line of a command is cut off"


@pytest.mark.parametrize("columns", [30, 40, 50])
def test_help_fits_a_terminal_narrower_than_the_library_knows(
    command: Command, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    prose = command("bridge", "--help").out.partition("\n  Examples:\n")[0]
    assert max(len(line) for line in prose.splitlines()) <= columns
