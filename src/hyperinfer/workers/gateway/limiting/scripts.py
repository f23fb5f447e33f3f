"""The scripts that Redis runs: each is one atomic step, and takes microseconds."""

from collections.abc import Mapping
from hashlib import sha1
from importlib.resources import files

NAMES = ("admit", "settle", "look", "renew", "adopt")


def read(name: str) -> str:
    """A script, or a part of one, as it is written."""
    return (files(__package__) / "lua" / f"{name}.lua").read_text("utf-8")


def scripts(clock: str) -> Mapping[str, str]:
    """Every script by its name; `clock` is the part that tells the time."""
    common = clock + read("common")
    return {name: common + read(name) for name in NAMES}


def sha_of(script: str) -> str:
    """The name by which Redis knows a script once it is loaded."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
