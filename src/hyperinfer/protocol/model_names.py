"""How a model is named in requests: exactly, in other case, without or with the tag that Ollama and its programs add by
themselves; and near misses. Pure."""

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
    if found := by_case.get(wanted):
        return found
    return by_case.get(wanted.removesuffix(DEFAULT_TAG) if ":" in wanted else wanted + DEFAULT_TAG)


def near(name: str, names: Collection[str]) -> list[str]:
    """Those of these names that somebody may have meant, who may have left out a tag."""
    by_case = {form: one for one in sorted(names, reverse=True) for form in (one.casefold(), _untagged(one.casefold()))}
    wanted = name.casefold()
    close = get_close_matches(wanted, by_case, n=NEAR)
    close += [form for form in sorted(by_case) if form.startswith(wanted)]
    return list(dict.fromkeys(by_case[form] for form in close))[:NEAR]


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them."""
    there = sorted(names)
    return ", ".join(there[:NAMED]) + (", …" if len(there) > NAMED else "")


def _untagged(name: str) -> str:
    return name.partition(":")[0]
