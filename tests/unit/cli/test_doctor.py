"""`hyperinfer doctor` as it is shown, and its exit code."""

import json

import pytest

from hyperinfer.cli import doctor

from .conftest import Command


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that needs no other: nothing is looked for outside it."""
    settings = {
        "COMMON__NET__DRIVER": "false",
        "INFERENCE__OLLAMA__ENABLED": "false",
        "GATEWAY__HTTP__PORT": "0",
        "COMMON__OBSERVE__PORT": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"HYPERINFER_{name}", value)


@pytest.mark.usefixtures("alone")
def test_a_machine_on_which_nothing_is_wrong(command: Command) -> None:
    done = command("doctor")
    assert done.code == 0, done.out
    assert "\n  ✓ Python: 3." in done.out
    assert [line for line in done.out.splitlines() if line and not line.startswith(" ")] == [
        "Machine",
        "Settings",
        "Swarm",
        "Models",
        "Accounts",
        "Gateway",
    ]


@pytest.mark.usefixtures("alone")
def test_what_is_in_the_way_comes_with_what_mends_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERINFER_GATEWAY__NONSENSE", "1")
    done = command("doctor")
    assert done.code == 1
    assert "  ✗ settings: nonsense is not a setting (from HYPERINFER_GATEWAY__NONSENSE)." in done.out
    assert "\n    -> Correct or unset the environment variable" in done.out
    assert done.err.startswith("1 thing is in the way")


@pytest.mark.usefixtures("alone")
def test_programs_get_every_finding(command: Command) -> None:
    shown = json.loads(command("doctor", "--json").out)
    assert shown["verdict"] in ("ok", "warn")
    assert {"part", "what", "verdict", "found", "mend"} == set(shown["findings"][0])
    assert {row["part"] for row in shown["findings"]} >= {"machine", "settings", "swarm", "models", "accounts"}


def test_a_gateway_whose_name_is_no_address_is_told_at_once(command: Command) -> None:
    done = command("doctor", "--gateway", "hppt:x")
    assert done.code == 1
    assert done.out == ""
    assert "looks like http://" in done.err


@pytest.mark.parametrize(
    ("fails", "warnings", "said"),
    [
        (1, 0, "1 thing is in the way;"),
        (0, 1, "1 worth a look;"),
        (2, 3, "2 things are in the way, 3 worth a look;"),
    ],
)
def test_the_summary(fails: int, warnings: int, said: str) -> None:
    assert doctor.summary(fails, warnings).startswith(said)
