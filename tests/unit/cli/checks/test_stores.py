"""What is made of databases and of Redis."""

from pathlib import Path

import pytest

from hyperinfer.cli.checks import Verdict, stores
from hyperinfer.workers.auth.parts import DATABASE

from .conftest import Look


async def test_a_database_is_none_before_the_first_start(look: Look) -> None:
    [found] = await stores.check(look())
    assert found.verdict is Verdict.OK
    assert "first start" in found.found


async def test_a_file_that_is_no_database_is_in_the_way(tmp_path: Path, look: Look) -> None:
    (tmp_path / "data/auth").mkdir(parents=True)
    (tmp_path / "data/auth" / DATABASE).write_bytes(b"no database at all " * 100)
    [found] = await stores.check(look())
    assert found.verdict is Verdict.FAIL


async def test_a_database_elsewhere_that_is_away_is_in_the_way(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:secret-word@127.0.0.1:9/none")
    [found] = await stores.check(look())
    assert found.verdict is Verdict.FAIL
    assert "secret-word" not in found.found + found.mend


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("The database is at revision 1, and this version works with 2. `hyperinfer db upgrade` …", Verdict.WARN),
        ("The database was written by a newer version of hyperinfer (revision 9).", Verdict.FAIL),
        ("The database has no tables yet. Auth makes them when it starts first.", Verdict.OK),
        ("Something else.", Verdict.FAIL),
    ],
)
def test_troubles_of_a_database(said: str, verdict: Verdict) -> None:
    assert stores.database_trouble(said, is_configured=True).verdict is verdict


async def test_a_redis_that_is_away_is_told_once_for_all_who_use_it(
    monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret-word@127.0.0.1:9/0")
    monkeypatch.setenv("HYPERINFER_INFERENCE__CACHE__REDIS_URL", "redis://:secret-word@127.0.0.1:9/0")
    [_, found] = await stores.check(look())
    assert found.verdict is Verdict.FAIL
    assert "gateway.limits.redis_url and inference.cache.redis_url" in found.found
    assert "secret-word" not in found.found + found.mend
