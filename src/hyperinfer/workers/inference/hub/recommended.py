"""A short list of good models by the memory that they take: `recommended.json`, which has its date in it."""

from datetime import date
from importlib import resources
from typing import Literal

import msgspec
import psutil

Fit = Literal["yes", "tight", "no"]


class Recommended(msgspec.Struct, frozen=True):
    """A model of a hub. `pull` is what `hyperinfer models pull` takes, `memory_bytes` what it needs to run with some
    thousand tokens of context, about."""

    pull: str
    kind: Literal["chat", "embedding"]
    parameters: str
    file_bytes: int
    memory_bytes: int
    licence: str
    good_for: str

    def fits(self, available_bytes: int, total_bytes: int) -> Fit:
        """Whether it runs in so much memory: `tight` if others had to give some up. What a GPU has is not counted."""
        if self.memory_bytes <= available_bytes:
            return "yes"
        return "tight" if self.memory_bytes <= total_bytes else "no"


class Recommendations(msgspec.Struct, frozen=True):
    """The list, the smallest first, as of a day."""

    as_of: date
    models: tuple[Recommended, ...]


def recommended() -> Recommendations:
    """The list."""
    text = resources.files(__package__).joinpath("recommended.json").read_bytes()
    return msgspec.json.decode(text, type=Recommendations)


def memory() -> tuple[int, int]:
    """The machine's memory in bytes: what is available now, and all of it."""
    now = psutil.virtual_memory()
    return now.available, now.total
