"""The command on a terminal: a chat and its Ctrl-C, colours where they belong, and narrow windows."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from typing import Self

import pytest

from .conftest import ECHO, Child, Starter, command, environment, free_port, ran

pytestmark = pytest.mark.slow

CTRL_C, CTRL_D = "\x03", "\x04"
ESCAPE = "\x1b["
PROMPT = r">(\x1b\[0m)? "
TALKS = {"HYPERINFER_INFERENCE__ECHO__TOKENS": "100000", "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.02"}


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *words: str, env: Mapping[str, str], columns: int = 80) -> None:
        self.screen = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        # The first terminal that a new session opens is its own, and ^C on it a signal.
        opening = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave)]
        self.process = subprocess.Popen(
            [*opening, *command(*words)], env={**env, "TERM": "xterm-256color"}, start_new_session=True
        )
        self._slave = slave

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._master, keys.encode())

    def until(self, pattern: str, timeout_s: float = 20.0) -> str:
        """Wait until this is seen; gives all that came before it and with it, and forgets that."""
        deadline = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.screen)):
            assert self._read(deadline), f"waited in vain for {pattern!r}:\n{self.screen[-500:]}"
        seen, self.screen = self.screen[: found.end()], self.screen[found.end() :]
        return seen

    def ended(self, timeout_s: float = 20.0) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on:\n{self.screen[-500:]}"
            self._read(time.monotonic() + 0.05)
        while self._read(time.monotonic()):
            pass
        return self.process.returncode

    def _read(self, deadline: float) -> bool:
        """Read what has come; says whether there may be more."""
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        self.screen += os.read(self._master, 65536).decode(errors="replace")
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._slave)
        os.close(self._master)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("home"), PORT=str(free_port()), **ECHO)


@pytest.fixture(scope="module")
def up(env: dict[str, str]) -> Iterator[Child]:
    """A swarm whose model talks until it is stopped."""
    start = Starter()
    try:
        child = start("up", env=env | TALKS)
        child.until_ready()
        yield child
    finally:
        start.close()


def busy(env: Mapping[str, str]) -> int:
    """Answers being made now."""
    found: int = json.loads(ran("models", "--json", env=env).stdout)[0]["busy"]
    return found


@pytest.mark.usefixtures("up")
def test_ctrl_c_stops_the_answer_and_not_the_chat(env: dict[str, str]) -> None:
    with Terminal("chat", env=env) as chat:
        chat.until(r"/help lists")
        chat.until(PROMPT)
        for question in ("first", "second"):
            chat.type(f"{question}\n")
            chat.until(r"word1 word2 word3")
            assert busy(env) == 1
            chat.type(CTRL_C)
            chat.until(r"\(stopped\)", 3)
            chat.until(PROMPT)
            deadline = time.monotonic() + 3
            while busy(env):
                assert time.monotonic() < deadline, "the model talks on"
        chat.type("half a line" + CTRL_C)
        chat.until("Ctrl-D ends the chat")
        chat.until(PROMPT)
        chat.type("/help\n")
        chat.until("/system")
        chat.until(PROMPT)
        chat.type(CTRL_D)
        assert chat.ended() == 0
        assert "Traceback" not in chat.screen


@pytest.mark.usefixtures("up")
def test_ctrl_c_ends_ask(env: dict[str, str]) -> None:
    with Terminal("ask", "talk", env=env) as ask:
        ask.until("word1 word2")
        ask.type(CTRL_C)
        assert ask.ended(5) == 130
        assert "Traceback" not in ask.screen


def test_colours_are_for_terminals_that_want_them(env: dict[str, str]) -> None:
    wrong = ("config", "show", "gateway", "--set", "nonsense=1")
    with Terminal(*wrong, env=env) as coloured:
        assert coloured.ended() == 1
        assert f"{ESCAPE}31m" in coloured.screen
    with Terminal(*wrong, env=env | {"NO_COLOR": "1"}) as plain:
        assert plain.ended() == 1
        assert ESCAPE not in plain.screen
        assert "nonsense" in plain.screen
    piped = ran(*wrong, env=env)
    assert ESCAPE not in piped.stdout + piped.stderr


def test_a_password_is_asked_for_and_not_shown(up: Child, env: dict[str, str]) -> None:
    password = up.fact("password").split()[0]
    with Terminal(
        "login", "--gateway", up.fact("API"), env=env | {"XDG_CONFIG_HOME": env["XDG_CONFIG_HOME"] + "2"}
    ) as login:
        login.until("User name or e-mail")
        login.type("admin\n")
        login.until("Password")
        login.type(f"{password}\n")
        shown = login.until("Logged in")
        assert login.ended() == 0
        assert password not in shown + login.screen


def test_a_new_password_is_typed_twice_and_never_shown(up: Child, env: dict[str, str]) -> None:
    password = "correct horse battery"
    own = env | {"XDG_CONFIG_HOME": env["XDG_CONFIG_HOME"] + "3"}
    with Terminal("register", "--gateway", up.fact("API"), "ada@example.org", env=own) as register:
        shown = register.until("Password: ")
        register.type(f"{password}\n")
        shown += register.until("The same again: ")
        register.type("something else\n")
        shown += register.until("do not match")
        for prompt in ("Password: ", "The same again: "):
            shown += register.until(prompt)
            register.type(f"{password}\n")
        shown += register.until("Registered at .* as ada")
        assert register.ended() == 0
        assert password not in shown + register.screen
    with Terminal("account", "delete", env=own) as delete:
        delete.until("Its name, to go on: ")
        delete.type("ada\n")
        delete.until("Password: ")
        delete.type(f"{password}\n")
        assert password not in delete.until("is deleted")
        assert delete.ended() == 0


@pytest.mark.parametrize("columns", [55, 80])
@pytest.mark.parametrize("words", [("--help",), ("up", "--help"), ("keys", "--help")], ids=" ".join)
def test_help_fits_the_window(env: dict[str, str], words: tuple[str, ...], columns: int) -> None:
    with Terminal(*words, env=env, columns=columns) as narrow:
        assert narrow.ended() == 0
    prose = [line for line in narrow.screen.splitlines() if "hyperinfer " not in line]
    assert max(len(line.rstrip()) for line in prose) <= columns


def test_up_on_a_terminal_shows_what_a_person_wants_to_know(
    env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = environment(tmp_path_factory.mktemp("own"), PORT=str(free_port()), **ECHO)
    with Terminal("up", env=own) as up:
        seen = up.until(r"Ctrl-C stops it", 40)
        assert "curl http://127.0.0.1" in seen
        assert '"event"' not in seen
        assert "worker_running" not in seen
        up.type(CTRL_C)
        up.until("Stopping")
        assert up.ended() == 0
        assert "Traceback" not in up.screen
