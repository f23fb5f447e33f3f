"""The live view on a terminal: at every size, and key by key."""

import signal
from itertools import pairwise

import pytest
from tests.e2e.conftest import Child, ran

from .conftest import Env
from .recorded import CTRL_C, Recorded, has

pytestmark = pytest.mark.slow

WORKERS = ("auth", "gateway", "inference", "metrics")
OTHER_SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture(scope="module")
def env(administered: tuple[Child, Env]) -> Env:
    return administered[1]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 15)], ids=["80x24", "40x15"])
def test_it_shows_the_swarm_and_leaves_the_terminal_as_it_was(env: Env, columns: int, lines: int) -> None:
    with Recorded("top", env=env, columns=columns, lines=lines) as top:
        screen = top.until_seen(has("WORKER", *WORKERS, " ok", "q quit"))
        assert screen[0].startswith("hyperinfer")
        assert "requests/s" in screen[1]
        assert screen[-1].lstrip().startswith("q quit")
        assert top.screen.cursor.hidden
        assert OTHER_SCREEN in top.raw
        top.type("q")
        assert top.ended() == 0
        assert BACK in top.raw
        top.left_well()


def test_its_keys(env: Env) -> None:
    with Recorded("top", env=env, lines=10) as top:
        top.until_seen(has("WORKER", "auth"))
        top.type("?")
        top.until_seen(has("sort by errors"))
        top.type("?")
        top.until_seen(has("WORKER"))
        top.type("p")
        top.until_seen(lambda screen: "paused" in screen[0])
        top.type("p")
        top.until_seen(lambda screen: "paused" not in screen[0])
        top.type("p")  # so that no alert comes or goes meanwhile
        before = top.until_seen(lambda screen: "paused" in screen[0])
        top.type("\x1b[B\x1b[B")
        top.until_seen(lambda screen: screen[4:7] == before[6:9])
        top.type("\x1b[A\x1b[A")
        top.until_seen(lambda screen: screen[4:9] == before[4:9])
        top.type(CTRL_C)
        assert top.ended() == 0
        top.left_well()


def test_it_follows_the_size_of_its_terminal(env: Env) -> None:
    with Recorded("top", env=env) as top:
        top.until_seen(has("WORKER", "MODEL"))
        top.screen.resize(12, 40)
        top.process.setwinsize(12, 40)
        screen = top.until_seen(lambda lines: lines[-1].lstrip().startswith("q quit") and "↓" in lines[-1])
        assert len(screen) == 12
        top.screen.resize(24, 100)
        top.process.setwinsize(24, 100)
        top.until_seen(has("WORKER", "MODEL", "LATENCY"))
        top.type("q")
        assert top.ended() == 0


def test_what_is_asked_is_seen(env: Env) -> None:
    with Recorded("top", env=env, columns=120) as top:
        top.until_seen(has("WORKER"))
        assert ran("ask", "Hello there?", env=env).returncode == 0
        top.until_seen(lambda screen: screen[1].split()[1] not in ("0", "-") and screen[2].split()[1] not in ("0", "-"))
        top.type("q")
        assert top.ended() == 0


def test_told_to_end_it_leaves_the_terminal_as_it_was(env: Env) -> None:
    with Recorded("top", env=env) as top:
        top.until_seen(has("WORKER"))
        top.process.kill(signal.SIGTERM)
        assert top.ended() == 0
        assert BACK in top.raw
        top.left_well()


def test_colours_are_not_for_everybody(env: Env) -> None:
    with Recorded("top", env=env | {"NO_COLOR": "1"}) as top:
        top.until_seen(has("WORKER"))
        assert top.colours() == set()
        top.type("q")
        assert top.ended() == 0
    with Recorded("top", env=env | {"TERM": "dumb"}) as once:
        assert once.ended() == 0
        assert "gateway" in once.text
        assert "\x1b" not in once.raw


def test_a_program_gets_json_until_it_has_enough(env: Env) -> None:
    with Recorded("top", "--json", env=env, columns=4000) as top:
        top.until('(?s)"status":"ok".*\n.*"status":"ok"')
        top.type(CTRL_C)
        assert top.ended() == 130
    moments = [line.split('"at":"')[1][:26] for line in top.lines if '"at":"' in line]
    assert all(earlier < later for earlier, later in pairwise(moments))
