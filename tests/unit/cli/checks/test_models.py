"""What is made of models' files, and of servers that have models."""

from pathlib import Path

import pytest

from hyperinfer.cli.checks import Verdict, models
from hyperinfer.workers.inference.backends.llamacpp.folder import File, Found
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.llamacpp.shelf import Entry
from hyperinfer.workers.inference.backends.llamacpp.traits import UNKNOWN

from .conftest import Look

GB = 10**9
NOWHERE = "http://127.0.0.1:9"


def entry(size_bytes: int, problem: str = "") -> Entry:
    return Entry("big", Found("big", (File(Path("/big.gguf"), size_bytes, 0),)), UNKNOWN, problem=problem)


def test_a_model_that_can_never_fit_is_worth_a_look() -> None:
    settings = LlamaCppSettings()
    assert models.model(entry(4 * GB), settings, 16 * GB).verdict is Verdict.OK
    large = models.model(entry(40 * GB), settings, 16 * GB)
    assert large.verdict is Verdict.WARN
    assert "hyperinfer models recommended" in large.mend


def test_a_file_that_is_damaged_is_in_the_way() -> None:
    found = models.model(entry(GB, "It ends too early."), LlamaCppSettings(), 16 * GB)
    assert found.verdict is Verdict.FAIL
    assert "models rm big" in found.mend


def test_a_model_still_to_be_fetched_is_as_it_should_be() -> None:
    found = models.model(Entry("small", None), LlamaCppSettings(), 16 * GB)
    assert found.verdict is Verdict.OK
    assert "first use" in found.found


async def test_a_model_that_is_named_and_not_there_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    monkeypatch.setenv("HYPERINFER_INFERENCE__LLAMACPP__MODEL_PATH", str(tmp_path / "none.gguf"))
    found = await models.check(look())
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.FAIL]


async def test_an_engine_that_is_off_needs_nothing(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_INFERENCE__LLAMACPP__ENABLED", "false")
    assert [one.verdict for one in await models.check(look())] == [Verdict.OK]


@pytest.mark.parametrize(("enabled", "verdict"), [("auto", Verdict.OK), ("true", Verdict.FAIL)])
async def test_an_ollama_that_is_not_there_matters_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, look: Look, enabled: str, verdict: Verdict
) -> None:
    monkeypatch.setenv("OLLAMA_URL", NOWHERE)
    monkeypatch.setenv("HYPERINFER_INFERENCE__OLLAMA__ENABLED", enabled)
    assert [one.verdict for one in await models.check_servers(look())] == [verdict]


async def test_a_server_that_is_configured_and_away_is_in_the_way(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("HYPERINFER_INFERENCE__OLLAMA__ENABLED", "false")
    monkeypatch.setenv("HYPERINFER_INFERENCE__OPENAI__SERVERS", f'[{{"name": "gpu", "url": "{NOWHERE}/v1"}}]')
    [found] = await models.check_servers(look())
    assert found.verdict is Verdict.FAIL
    assert found.what == "server gpu"
