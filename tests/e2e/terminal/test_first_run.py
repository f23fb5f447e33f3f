"""The first thing that anybody sees: `hyperinfer up`."""

import socket

import pytest

from .conftest import Env
from .recorded import CTRL_C, Recorded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 15)], ids=["80x24", "40x15"])
def test_the_first_run_shows_all_that_is_needed_and_nothing_else(alone: Env, columns: int, lines: int) -> None:
    with Recorded("up", env=alone, columns=columns, lines=lines) as up:
        up.until("^Ctrl-C stops it", 40)
        text = up.text
        names = [
            line.split()[0]
            for line in up.lines
            if line.startswith(("API", "key", "model", "swarm", "link", "admin", "password"))
        ]
        assert names == ["API", "key", "model", "swarm", "link", "admin", "password"]
        assert up.lines[0].startswith("API "), "progress is gone when it is over"
        assert "curl http://127.0.0.1:" in text
        assert "event" not in text
        assert not up.screen.cursor.hidden
        up.type(CTRL_C)
        assert up.ended() == 0
        assert "Stopping" in up.text
        up.left_well()


def test_a_password_is_seen_though_the_port_is_taken(alone: Env) -> None:
    with socket.create_server(("127.0.0.1", int(alone["PORT"]))):
        with Recorded("up", env=alone) as up:
            assert up.ended() == 1
            assert any(line.startswith("password ") for line in up.lines)
            assert "it is taken by another program" in up.text
            up.left_well()
        with Recorded("up", env=alone) as again:
            assert again.ended() == 1
            assert "password" not in again.text


def test_a_password_is_seen_though_the_start_is_broken_off(alone: Env) -> None:
    slow = alone | {"HYPERINFER_INFERENCE__ECHO__LOAD_S": "0", "HYPERINFER_COMMON__NET__NODE": "/bin/sleep"}
    with Recorded("up", env=slow) as up:
        code = up.interrupt("password|Starting|…", 30)
        assert code in (0, 1, 130)
        assert any(line.startswith("password ") for line in up.lines)
        up.left_well()
