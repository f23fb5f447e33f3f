"""What is made of the machine itself."""

from pathlib import Path

import pytest

from hyperinfer.cli.checks import Verdict, machine

GB = 10**9


def test_an_old_python_is_in_the_way() -> None:
    assert machine.python((3, 10, 12)).verdict is Verdict.FAIL
    assert machine.python((3, 11, 0)).verdict is Verdict.OK
    assert machine.python((4, 0, 0)).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("name", "architecture", "libc", "verdict"),
    [
        ("Linux", "x86_64", "glibc", Verdict.OK),
        ("Linux", "aarch64", "glibc", Verdict.OK),
        ("Darwin", "arm64", "", Verdict.OK),
        ("Linux", "x86_64", "", Verdict.WARN),
        ("Linux", "riscv64", "glibc", Verdict.WARN),
        ("Windows", "AMD64", "", Verdict.WARN),
    ],
)
def test_platforms(name: str, architecture: str, libc: str, verdict: Verdict) -> None:
    found = machine.system(name, architecture, libc)
    assert found.verdict is verdict
    assert bool(found.mend) == (verdict is not Verdict.OK)


def test_little_memory_is_worth_a_look() -> None:
    assert machine.memory_left(16 * GB, 8 * GB).verdict is Verdict.OK
    assert machine.memory_left(16 * GB, GB // 2).verdict is Verdict.WARN


def test_few_open_files_mean_few_connections() -> None:
    assert machine.open_files(20_000, 2000).found == "20,000"
    usual = machine.open_files(1024, 2000)
    assert usual.verdict is Verdict.OK
    assert "about 800 connections" in usual.found
    few = machine.open_files(256, 2000)
    assert few.verdict is Verdict.WARN
    assert "ulimit -n" in few.mend


def test_a_full_disk_is_in_the_way() -> None:
    verdicts = [machine.disk(["data"], Path("/"), free).verdict for free in (10 * GB, GB, 10**6)]
    assert verdicts == [Verdict.OK, Verdict.WARN, Verdict.FAIL]
