"""How a model is named in requests: exactly, in other case, without the tag that Ollama adds by itself; and near misses. Pure."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

DEFAULT_TAG = ":latest"
NAMED = 20
"""How many names a sentence lists at most."""
NEAR = 3


def find(name: str, names: Collection[str]) -> str | None:
    """The one of these names that is meant, if there is one."""
    if name in names:
        return name
    by_case = {one.casefold(): one for one in sorted(names, reverse=True)}
    wanted = name.casefold()
    return by_case.get(wanted) or (None if ":" in wanted else by_case.get(wanted + DEFAULT_TAG))


def near(name: str, names: Collection[str]) -> list[str]:
    """Those of these names that somebody may have meant."""
    by_case = {one.casefold(): one for one in names}
    wanted = name.casefold()
    close = get_close_matches(wanted, by_case, n=NEAR, cutoff=0.6)
    begin = [one for one in sorted(by_case) if one.startswith(wanted) and one not in close]
    return [by_case[one] for one in (close + begin)[:NEAR]]


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them."""
    there = sorted(names)
    return ", ".join(there[:NAMED]) + (", …" if len(there) > NAMED else "")
