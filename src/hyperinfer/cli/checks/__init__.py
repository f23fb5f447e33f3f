"""What `hyperinfer doctor` looks at: a file for each part of a machine, decisions apart from the probing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from hyperinfer.kernel.config import Loaded
from hyperinfer.kernel.paths import Paths, paths_of
from hyperinfer.kernel.status import Status


class Verdict(StrEnum):
    """How a thing is: as it should be, worth a look, or in the way of working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: what was found, and if that is not good, what mends it."""

    what: str
    verdict: Verdict
    found: str
    mend: str = ""


def ok(what: str, found: str) -> Finding:
    """As it should be."""
    return Finding(what, Verdict.OK, found)


def warn(what: str, found: str, mend: str) -> Finding:
    """Worth a look: things work, and could be better."""
    return Finding(what, Verdict.WARN, found, mend)


def fail(what: str, found: str, mend: str) -> Finding:
    """In the way of working."""
    return Finding(what, Verdict.FAIL, found, mend)


def counted(number: int, noun: str) -> str:
    """A number of things: one model, 3 models; `noun` takes an s or an es."""
    ending = "es" if noun.endswith("s") else "s"
    return f"one {noun}" if number == 1 else f"{number:,} {noun}{ending}"


@dataclass(frozen=True, slots=True)
class Here:
    """What every check starts from. `loaded` are the settings of each worker type as `up` has them, `broken` why those of a
    type cannot be had, `running` the workers that live, `gateway` one that the person names."""

    home: Path
    loaded: Mapping[str, Loaded[Any]]
    broken: Mapping[str, str]
    running: Sequence[Status] = ()
    gateway: str | None = None

    def settings(self, wtype: str) -> Any:
        """The settings of a worker type; nothing where they cannot be had."""
        return self.loaded[wtype].settings if wtype in self.loaded else None

    def paths(self, wtype: str) -> Paths | None:
        """The folders of a worker type, unless its settings cannot be had."""
        return paths_of(wtype, self.loaded[wtype].settings, home=self.home) if wtype in self.loaded else None

    def runs(self, wtype: str) -> bool:
        """Whether a worker of this type runs here."""
        return any(one.wtype == wtype for one in self.running)


Check = Callable[[Here], Awaitable[Sequence[Finding]]]
"""Looks at one part. It makes nothing and changes nothing; it may raise errors of ours, and take as long as it is given."""
