"""What a field of a Struct may hold, where that is one of a few words: for the sentence about one that is none of them. Pure."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from msgspec import inspect

NAMED = 12
"""How many words a sentence lists at most; with more, none are of help."""

_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
"""A field's name, or the place of an item, in a path such as `messages[0].role`."""


def choices(kind: Any, path: str) -> tuple[str, ...]:
    """The words that the field at a path may hold, in order; none where it may hold anything else, or too many."""
    try:
        found = _words(_described(kind), _STEP.findall(path))
    except TypeError:  # no type of msgspec's
        return ()
    words = tuple(sorted({word for word in found if word}))
    return words if len(words) <= NAMED else ()


@cache
def _described(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _words(kind: inspect.Type, steps: list[str]) -> Iterator[str]:
    kinds = [kind]
    for step in steps:
        tags = [part.tag for part in _parts(kinds) if isinstance(part, inspect.StructType) and part.tag_field == step]
        if tags:
            yield from (tag for tag in tags if isinstance(tag, str))
            return
        kinds = list(_inside(_parts(kinds), step))
    for part in _parts(kinds):
        if isinstance(part, inspect.LiteralType):
            yield from (value for value in part.values if isinstance(value, str))


def _parts(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    """The types that these may be, one by one."""
    for kind in kinds:
        if isinstance(kind, inspect.Metadata):
            yield from _parts((kind.type,))
        elif isinstance(kind, inspect.UnionType):
            yield from _parts(kind.types)
        else:
            yield kind


def _inside(kinds: Iterable[inspect.Type], step: str) -> Iterator[inspect.Type]:
    """The types of what is one step further in."""
    for kind in kinds:
        if isinstance(kind, inspect.StructType):
            yield from (field.type for field in kind.fields if field.encode_name == step)
        elif isinstance(kind, inspect.DictType) and step == "[...]":
            yield kind.value_type
        elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and step.startswith("["):
            yield kind.item_type
