"""HYPERINFER_NO_SKIP turns every kind of skip into a failure that keeps the reason; without it a skip stays a skip."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPS = """
import pytest

@pytest.mark.skip(reason="marked")
def test_marked():
    pass

def test_inside():
    pytest.skip("inside")

@pytest.mark.xfail(reason="known", strict=True)
def test_known_to_fail():
    assert False

def test_runs():
    pass
"""

SKIPPED_MODULE = """
import pytest

pytest.importorskip("a_module_that_nobody_has", reason="whole module")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(test_skips=SKIPS, test_module=SKIPPED_MODULE)
    return pytester


def test_skips_stay_skips_by_default(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYPERINFER_NO_SKIP", raising=False)
    suite.runpytest_subprocess().assert_outcomes(passed=1, skipped=3, xfailed=1)


def test_skips_fail_where_nothing_may_be_skipped(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERINFER_NO_SKIP", "1")
    result = suite.runpytest_subprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=1, failed=1, errors=2, xfailed=1)  # at setup, at collection
    for reason in ("marked", "inside", "whole module"):
        result.stdout.fnmatch_lines([f"*{reason} (HYPERINFER_NO_SKIP*"])
