"""The live view on a terminal through the loss of its gateway."""

import pytest
from tests.e2e.conftest import Child, Starter

from .conftest import Env
from .recorded import Recorded, has

pytestmark = pytest.mark.slow


def test_a_lost_gateway_is_said_and_found_again(administered: tuple[Child, Env], start_all: Starter) -> None:
    child, env = administered
    with Recorded("top", env=env) as top:
        top.until_seen(has("WORKER"))
        assert child.stop() == 0, "whoever watches does not hold up its end"
        top.until_seen(has("no connection", "Trying again.", "WORKER"))
        start_all("up", env=env).until_ready()
        top.until_seen(lambda screen: " ok" in screen[0], 30)
        top.type("q")
        assert top.ended() == 0
        top.left_well()
