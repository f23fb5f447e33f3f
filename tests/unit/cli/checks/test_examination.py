"""All checks together: deadlines, failures of a check itself, and the verdict on the whole."""

import asyncio
from collections.abc import Sequence

import pytest

from hyperinfer.cli.checks import Finding, Here, Verdict, examination, fail, ok, warn
from hyperinfer.cli.checks.examination import Part
from hyperinfer.errors import StartError

from .conftest import Look


async def good(_: Here) -> Sequence[Finding]:
    return [ok("good", "fine")]


async def hanging(_: Here) -> Sequence[Finding]:
    await asyncio.Event().wait()
    raise AssertionError


async def failing(_: Here) -> Sequence[Finding]:
    raise StartError("It fell over.")


async def test_a_check_that_hangs_or_fails_is_a_finding_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    monkeypatch.setattr(examination, "PARTS", {"A": (good, hanging), "B": (failing,), "C": (good,)})
    shown: list[list[str]] = []
    parts = await examination.examine(look(), show=lambda left: shown.append(list(left)), deadline_s=0.05)
    verdicts = [[finding.verdict for finding in part.findings] for part in parts]
    assert verdicts == [[Verdict.OK, Verdict.FAIL], [Verdict.FAIL], [Verdict.OK]]
    assert "It fell over." in parts[1].findings[0].found
    assert shown[0] == ["A", "B", "C"]
    assert shown[-1] == []


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([], Verdict.OK),
        ([ok("a", "")], Verdict.OK),
        ([ok("a", ""), warn("b", "", "")], Verdict.WARN),
        ([warn("a", "", ""), fail("b", "", "")], Verdict.FAIL),
    ],
)
def test_the_whole_is_as_good_as_its_worst_part(findings: list[Finding], verdict: Verdict) -> None:
    assert examination.worst([Part("all", tuple(findings))]) is verdict
