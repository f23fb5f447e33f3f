"""The main job as a newcomer meets it: `up`, the printed line, `ask`, the official client; stop and start again."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from .conftest import Child, Starter, environment, free_port, left_behind, ran

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]

SMALL = {"HYPERINFER_INFERENCE__LLAMACPP__CONTEXT_TOKENS": "512", "HYPERINFER_INFERENCE__LLAMACPP__THREADS": "1"}
"""A context so small that even an answer which does not find its end is over in seconds."""
SECOND_START_S = 10.0
ASKED = ChatCompletionUserMessageParam(role="user", content="What is 2 + 2?")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("home"), PORT=str(free_port()), **SMALL)


@pytest.fixture(scope="module")
def up(env: dict[str, str]) -> Iterator[Child]:
    """`hyperinfer up` for the first time, with the real model."""
    starter = Starter()
    try:
        child = starter("up", env=env)
        child.until_ready()
        yield child
    finally:
        starter.close()


def pasted(line: str, env: dict[str, str]) -> str:
    """What a model answers to a line pasted into a shell."""
    if not shutil.which("curl"):
        pytest.skip("needs curl, to try the line that `up` prints")
    done = subprocess.run(
        ["sh", "-c", line], env=env, capture_output=True, text=True, timeout=50, check=True, stdin=subprocess.DEVNULL
    )
    answer: str = json.loads(done.stdout)["choices"][0]["message"]["content"]
    return answer


def test_it_prints_where_and_as_whom(up: Child, env: dict[str, str]) -> None:
    assert up.fact("API") == f"http://127.0.0.1:{env['PORT']}/v1"
    assert up.fact("key").startswith("hi_")
    assert up.fact("admin") == "admin"
    assert len(up.fact("password").split()[0]) >= 16
    assert up.fact("swarm").startswith("offline")


def test_the_printed_line_works_when_pasted(up: Child, env: dict[str, str]) -> None:
    assert pasted(up.curl, env).strip()


@pytest.mark.usefixtures("up")
def test_ask_finds_its_key_by_itself(env: dict[str, str]) -> None:
    done = ran("ask", "What is 2 + 2?", env=env, timeout_s=50)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_official_client_gets_whole_and_streamed_answers(up: Child) -> None:
    with openai.OpenAI(base_url=up.fact("API"), api_key=up.fact("key"), max_retries=0, timeout=50) as client:
        model = client.models.list().data[0].id
        whole = client.chat.completions.create(model=model, messages=[ASKED], max_tokens=16)
        assert whole.choices[0].message.content
        assert whole.usage
        assert 0 < whole.usage.completion_tokens <= 16
        stream = client.chat.completions.create(
            model=model, messages=[ASKED], max_tokens=16, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.usefixtures("up")
def test_status_and_models_say_that_all_is_well(env: dict[str, str]) -> None:
    status = ran("status", env=env)
    assert status.returncode == 0, status.stdout + status.stderr
    assert [line.split()[:2] for line in status.stdout.splitlines()[1:4]] == [
        ["auth", "ready"],
        ["gateway", "ready"],
        ["inference", "ready"],
    ]
    assert "smollm2-135m" in ran("models", env=env).stdout


def test_no_secret_is_in_a_log(up: Child, env: dict[str, str]) -> None:
    logs = Path(env["HYPERINFER_HOME"], "logs")
    logged = "\n".join([*up.err, *(path.read_text() for path in logs.rglob("*.log"))])
    assert "worker_running" in logged
    for secret in (up.fact("key"), up.fact("key").split("_")[2], up.fact("password").split()[0], "2 + 2"):
        assert secret not in logged


def test_it_stops_in_good_order_and_is_soon_back_with_the_same_key(
    up: Child, env: dict[str, str], start: Starter
) -> None:
    assert up.stop() == 0
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []
    began = time.monotonic()
    again = start("up", env=env)
    again.until_ready()
    took_s = time.monotonic() - began
    assert took_s < SECOND_START_S
    assert again.fact("key") == up.fact("key")
    assert again.fact("password") == ""
    assert pasted(again.curl, env).strip()
    assert again.stop() == 0
    assert left_behind(Path(env["HYPERINFER_HOME"])) == []
