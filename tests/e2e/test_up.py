"""`hyperinfer up` when something is not as it should be: ports, profiles, the swarm, and Ctrl-C at every moment."""

import json
import shutil
import socket
import urllib.request
from pathlib import Path

import openai
import pytest

from .conftest import ECHO, Child, Starter, environment, free_port, left_behind, ran

pytestmark = pytest.mark.slow

SLOW = {"HYPERINFER_INFERENCE__ECHO__TOKENS": "100000", "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.02"}
"""A model that talks for longer than any test."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, PORT=str(free_port()), **ECHO)


def ready(start: Starter, env: dict[str, str], *words: str) -> Child:
    child = start("up", *words, env=env)
    child.until_ready()
    return child


def test_a_port_that_is_taken_is_moved_from_and_said(start: Starter, env: dict[str, str]) -> None:
    del env["PORT"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = ready(start, env, "--set", f"gateway.http.first_port={port}")
        assert up.fact("API") != f"http://127.0.0.1:{port}/v1"
        up.until_said("port_taken")
        assert up.fact("API").removesuffix("/v1") in ran("status", env=env).stdout
        assert ran("ask", "hi", env=env).stdout == "hi\n"


def test_a_configured_port_that_is_taken_is_a_reason_not_to_start(start: Starter, env: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(env["PORT"])))
        taken.listen()
        up = start("up", env=env)
        assert up.ended(30) == 1
    assert up.err[-1].startswith(f"Cannot listen on 127.0.0.1:{env['PORT']}")
    assert "http.port" in up.err[-1]
    assert [line.split()[0] for line in up.out] == ["admin", "password"], "who was made is told, and nothing else"
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []


def test_a_wrong_setting_is_named_before_anything_starts(env: dict[str, str]) -> None:
    done = ran("up", "--set", "gateway.http.port=many", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "http.port" in done.stderr
    assert not Path(env["HYPERINFER_HOME"], "data").exists()


def test_a_lost_profile_costs_a_new_key_and_nothing_else(start: Starter, env: dict[str, str]) -> None:
    first = ready(start, env)
    assert first.stop() == 0
    shutil.rmtree(env["XDG_CONFIG_HOME"])
    second = ready(start, env)
    assert second.fact("password") == ""
    assert second.fact("key") != first.fact("key")
    assert ran("ask", "hi", env=env).stdout == "hi\n"
    names = [key["name"] for key in json.loads(ran("keys", "list", "--json", env=env).stdout)]
    assert sorted(names) == ["default", "hyperinfer up"]


def test_a_second_up_in_one_home_is_refused_and_disturbs_nothing(start: Starter, env: dict[str, str]) -> None:
    up = ready(start, env)
    second = ran("up", env=env | {"PORT": str(free_port())}, timeout_s=40)
    assert (second.returncode, second.stdout) == (1, "")
    assert "Another worker runs" in second.stderr
    assert ran("ask", "hi", env=env).stdout == "hi\n"
    assert up.stop() == 0


def test_the_swarm_comes_within_reach_while_it_runs(start: Starter, env: dict[str, str]) -> None:
    port = free_port()
    up = ready(start, env | {"HYPERINFER_COMMON__NET__BOOTSTRAP": f"127.0.0.1:{port}"})
    assert up.fact("swarm").startswith("offline")
    dht = start("dht", "--port", str(port), env=env)
    dht.until_said(f"net.bootstrap=127.0.0.1:{port}")
    up.until_said("swarm: online", 30)
    assert "swarm: online" in ran("status", env=env).stdout
    assert dht.stop() == 0
    assert up.stop() == 0


def test_without_its_driver_this_machine_is_served_all_the_same(start: Starter, env: dict[str, str]) -> None:
    no_node = shutil.which("false")
    up = ready(start, env | {"HYPERINFER_COMMON__NET__NODE": no_node or ""})
    assert up.fact("swarm").startswith("off: ")
    assert ran("ask", "hi", env=env).stdout == "hi\n"
    assert up.stop() == 0


def test_ctrl_c_while_it_starts_ends_it_and_leaves_nothing(start: Starter, env: dict[str, str]) -> None:
    up = start("up", env=env)
    up.until_said("worker_running")
    assert up.stop() == 0
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []
    assert ready(start, env).stop() == 0


def test_what_is_being_answered_ends_before_the_process_does(start: Starter, env: dict[str, str]) -> None:
    some = {"HYPERINFER_INFERENCE__ECHO__TOKENS": "50", "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.03"}
    up = ready(start, env | some)
    with openai.OpenAI(base_url=up.fact("API"), api_key=up.fact("key"), max_retries=0) as client:
        stream = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "hi"}], stream=True)
        next(stream)
        up.interrupt()
        up.until_said("Stopping")
        chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert up.ended() == 0


def test_a_second_ctrl_c_does_not_wait(start: Starter, env: dict[str, str]) -> None:
    up = ready(start, env | SLOW)
    with openai.OpenAI(base_url=up.fact("API"), api_key=up.fact("key"), max_retries=0) as client:
        stream = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "hi"}], stream=True)
        next(stream)
        up.interrupt()
        up.until_said("Stopping")
        up.interrupt()
        assert up.ended(3) == 130
        stream.close()
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []


def test_killed_it_leaves_no_process_and_starts_again(start: Starter, env: dict[str, str]) -> None:
    ready(start, env).kill()
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []
    again = ready(start, env)
    with urllib.request.urlopen(again.fact("API").removesuffix("/v1") + "/readyz", timeout=5) as reply:
        assert reply.status == 200
    assert again.stop() == 0


def test_a_profile_that_cannot_be_written_costs_its_comfort_only(start: Starter, env: dict[str, str]) -> None:
    nowhere = Path(env["HYPERINFER_HOME"]) / "a-file"
    nowhere.write_text("")
    up = ready(start, env | {"XDG_CONFIG_HOME": str(nowhere)})
    up.until_said("not kept")
    with openai.OpenAI(base_url=up.fact("API"), api_key=up.fact("key"), max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["echo"]
    assert up.stop() == 0
