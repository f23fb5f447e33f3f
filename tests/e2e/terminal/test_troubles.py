"""What goes wrong at a terminal is told in a sentence, and Ctrl-C leaves a terminal as it was, wherever it is pressed."""

import pytest
from tests.e2e.conftest import free_port, ran

from .conftest import Env
from .recorded import CTRL_C, CTRL_D, Recorded

pytestmark = pytest.mark.slow

NOBODY = "hyper://" + "ab" * 32


def test_a_wrong_password_is_told_and_never_shown(echoing: Env) -> None:
    with Recorded("login", "admin", env=echoing) as login:
        login.until("Password: ?")
        login.type("not the password\r")
        assert login.ended() == 1
        assert login.lines[-1] == "Wrong name or password."
        assert "not the password" not in login.raw
        login.left_well()


@pytest.mark.parametrize("columns", [40, 80])
def test_a_gateway_that_is_away_is_told_with_what_to_do(echoing: Env, alone: Env, columns: int) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    own = alone | {"HYPERINFER_GATEWAY": away, "HYPERINFER_API_KEY": "hi_key"}
    with Recorded("ask", "Hello?", env=own, columns=columns) as ask:
        assert ask.ended() == 1
        said = " ".join(ask.lines)
        assert f"No gateway answers at {away}: connection refused. Start one with `hyperinfer up`" in said
        assert all(len(line) <= columns for line in ask.lines)
        ask.left_well()


def test_who_has_no_gateway_yet_is_told_how_to_have_one(alone: Env) -> None:
    with Recorded("ask", "Hello?", env=alone) as ask:
        assert ask.ended() == 1
        assert "hyperinfer up" in ask.text
        ask.left_well()


@pytest.mark.parametrize("keys", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("login",), "User name"),
        (("login", "admin"), "Password"),
        (("profile", "remove", "admin"), r"\[y/N\]"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_a_question_can_be_left(echoing: Env, words: tuple[str, ...], asked: str, keys: str) -> None:
    with Recorded(*words, env=echoing) as command:
        command.until(asked)
        assert command.left_by(keys) == 130
        command.left_well()


LONG = {
    "doctor": (("doctor",), "Looking", 130),
    "ask over the swarm": (("ask", "Hello?"), "Reaching", 130),
    "dht": (("dht", "--host", "127.0.0.1", "--port", "0"), "bootstrap=", 0),
    "bridge": (("bridge", "--gateway", NOBODY, "--set", "http.port=0"), "API|…", 0),
    "worker": (("worker", "--wtype", "gateway", "--rack", "two", "--set", "http.port=0"), "worker_running", 0),
}


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_what_runs_long_and_leaves_the_terminal_well(name: str, alone: Env) -> None:
    words, seen, code = LONG[name]
    way = {"HYPERINFER_GATEWAY": NOBODY, "HYPERINFER_API_KEY": "hi_key"} if "swarm" in name else {}
    if name == "worker":
        assert ran("swarm", "init", env=alone).returncode == 0
    with Recorded(*words, env=alone | way) as command:
        assert command.interrupt(seen, 30) == code
        command.left_well()


@pytest.mark.parametrize(
    "words", [("nope",), ("keys", "lst"), ("ask", "--modl", "x"), ("join", "nonsense"), ("worker",)]
)
def test_what_is_typed_wrongly_is_told_in_a_sentence(alone: Env, words: tuple[str, ...]) -> None:
    with Recorded(*words, env=alone, columns=200) as command:
        assert command.ended() in (1, 2)
        [line] = command.lines
        assert line.endswith((".", "."))
        command.left_well()
