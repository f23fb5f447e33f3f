"""A model on its way, as a terminal shows it."""

import pytest

from hyperinfer.testing.servers.hub import HubServer, Repo

from .conftest import Env
from .recorded import Recorded

pytestmark = pytest.mark.slow

MODEL = b"GGUF" + b"\0" * (3 * 1024 * 1024)


@pytest.mark.parametrize("columns", [40, 80])
def test_how_far_it_is_stands_on_one_line(alone: Env, columns: int) -> None:
    with (
        HubServer.served({"acme/fine-GGUF": Repo({"fine-Q4_K_M.gguf": MODEL})}) as hub,
        Recorded("models", "pull", "acme/fine-GGUF", env=alone | {"HF_ENDPOINT": hub.url}, columns=columns) as pull,
    ):
        assert pull.ended(30) == 0
        pull.left_well()
        assert pull.lines[0].startswith("fine-Q4_K_M.gguf ")
        assert pull.lines[0].endswith("0:00:00")
        assert pull.lines[1].startswith("fine-q4_k_m is in ")


def test_ctrl_c_leaves_what_has_come_to_be_gone_on_with(alone: Env) -> None:
    with HubServer.served({"acme/fine-GGUF": Repo({"fine-Q4_K_M.gguf": MODEL})}) as hub:
        hub.faults.stalls = True
        with Recorded("models", "pull", "acme/fine-GGUF", env=alone | {"HF_ENDPOINT": hub.url}) as pull:
            assert pull.interrupt("1.6/3.1 MB", 30) == 130
            pull.left_well()
        with Recorded("models", "local", env=alone) as local:
            assert local.ended() == 0
            assert "fine" in local.text
