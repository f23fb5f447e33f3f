"""A model is pulled while hyperinfer runs, and answers a moment later."""

import json
import time

import pytest

from hyperinfer.testing.servers.hub import HubServer, Repo
from hyperinfer.workers.inference.backends.llamacpp import weights

from .conftest import Starter, environment, free_port, ran

pytestmark = [pytest.mark.slow, pytest.mark.needs_model, pytest.mark.timeout(120)]

SERVED_S = 20.0


def test_a_pulled_model_is_served_without_a_restart(start: Starter, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    file = weights.path(weights.SMOLLM2).read_bytes()
    with HubServer.served({"acme/fine-GGUF": Repo({"fine-Q4_K_M.gguf": file, "README.md": b"Fine."})}) as hub:
        threads = {"HYPERINFER_INFERENCE__LLAMACPP__THREADS": "1"}
        env = environment(home, PORT=str(free_port()), HF_ENDPOINT=hub.url, **threads)
        up = start("up", env=env)
        up.until_ready()
        assert up.fact("model") == "smollm2-135m"
        pulled = ran("models", "pull", "acme/fine-GGUF", env=env, timeout_s=60)
        assert pulled.returncode == 0, pulled.stderr
        states = until_served(env, "fine-q4_k_m")
        assert states["fine-q4_k_m"] == "idle"
        answered = ran("ask", "--model", "fine-q4_k_m", "Say hello.", env=env, timeout_s=60)
        assert (answered.returncode, bool(answered.stdout.strip())) == (0, True), answered.stderr
        assert until_served(env, "fine-q4_k_m")["fine-q4_k_m"] == "ready"
        removed = ran("models", "rm", "--yes", "fine-q4_k_m", env=env)
        assert removed.returncode == 0, removed.stderr


def until_served(env: dict[str, str], name: str) -> dict[str, str]:
    """Wait until a model is served; gives every model's state."""
    deadline = time.monotonic() + SERVED_S
    while True:
        listed = ran("models", "--json", env=env)
        states = {model["id"]: model["state"] for model in json.loads(listed.stdout)}
        if name in states:
            return states
        assert time.monotonic() < deadline, states
        time.sleep(0.3)
