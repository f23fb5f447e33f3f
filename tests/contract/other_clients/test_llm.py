"""The `llm` command and the real engine: as its manual says, with a model of ours beside its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import MODEL, Product

pytestmark = [pytest.mark.slow, pytest.mark.needs_model, pytest.mark.timeout(120)]  # each start of it takes seconds

EXTRA = """
- model_id: swarm
  model_name: {model}
  api_base: {url}/v1
  api_key_name: hyperinfer
  supports_schema: true
  supports_tools: true
"""
FUNCTIONS = '''
def weather(city: str) -> str:
    """How the weather is in a city."""
    return "It rains."
'''
Llm = Callable[..., str]


@pytest.fixture
def llm(engine: Product, tmp_path: Path) -> Llm:
    """Runs the command in a folder of its own; gives what it says."""
    extra = EXTRA.format(model=MODEL, url=engine.url)
    (tmp_path / "extra-openai-models.yaml").write_text(extra, encoding="utf-8")
    # The package that brings our model is a plugin of `llm`, and wants to be loaded by it.
    own = {"LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "OPENAI_"))}

    def run(*words: str, given: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "llm", *words],
            env=kept | own,
            input=given,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    (tmp_path / "keys.json").write_text(json.dumps({"hyperinfer": engine.key}), encoding="utf-8")
    (tmp_path / "aliases.json").write_text(json.dumps({"ours": "swarm"}), encoding="utf-8")
    return run


@pytest.mark.seen("llm", "a chat, whole", "a chat, streamed", "a system prompt", "usage")
def test_a_prompt_whole_and_streamed(llm: Llm) -> None:
    asked = ("-m", "swarm", "-s", "Be brief.", "-o", "max_tokens", "12", "-o", "temperature", "0", "-o", "seed", "1")
    streamed = llm(*asked, "Count from one to ten.")
    assert streamed.strip()
    assert llm(*asked, "--no-stream", "Count from one to ten.") == streamed
    rows = json.loads(llm("logs", "--json", "-n", "2"))
    assert 0 < rows[0]["output_tokens"] == rows[1]["output_tokens"] <= 12
    assert rows[0]["input_tokens"] == rows[1]["input_tokens"] > 5


@pytest.mark.seen("llm", "a conversation")
def test_a_conversation(llm: Llm) -> None:
    few = ("-o", "max_tokens", "4")
    assert llm("-m", "swarm", *few, "My name is Ada.").strip()
    assert llm("-c", *few, "What is my name?").strip()
    rows = json.loads(llm("logs", "--json", "-n", "2"))
    assert rows[0]["conversation_id"] == rows[1]["conversation_id"]
    assert rows[1]["input_tokens"] > rows[0]["input_tokens"]
    assert "Chatting with swarm" in llm("chat", "-m", "swarm", *few, given="Hello.\nexit\n")


@pytest.mark.seen("llm", "an answer of a class")
def test_an_answer_under_a_schema(llm: Llm) -> None:
    schema = {"type": "object", "properties": {"level": {"enum": [1, 2, 3]}}, "required": ["level"]}
    assert json.loads(llm("-m", "swarm", "--schema", json.dumps(schema), "How is it?"))["level"] in (1, 2, 3)


@pytest.mark.seen("llm", "tools")
def test_a_tool_is_offered(llm: Llm) -> None:
    assert llm("-m", "swarm", "--functions", FUNCTIONS, "-o", "max_tokens", "40", "How is the weather?") is not None
    [row] = json.loads(llm("logs", "--json", "-n", "1"))
    assert [tool["name"] for tool in row["tools"]] == ["weather"]


@pytest.mark.seen("llm", "an alias of its own")
def test_an_alias(llm: Llm) -> None:
    assert llm("-m", "ours", "-o", "max_tokens", "4", "Hello.").strip()


@pytest.mark.seen("llm", "errors as its exceptions")
def test_what_is_refused_is_said(llm: Llm) -> None:
    said = llm("-m", "swarm", "word " * 600, code=1)
    assert "this model takes 512" in said
    assert "401" in llm("-m", "swarm", "--key", "hi_nobody", "Hello.", code=1)
