"""JSON schemas in a request, kept within what engines can walk."""

from typing import Any

import msgspec

from hyperinfer.errors import BadRequest

MAX_DEPTH = 64
"""Engines walk a schema recursively, so its depth is bounded."""
MAX_BYTES = 64 * 1024


def check(schema: dict[str, Any], param: str) -> None:
    """Raise `BadRequest` for a schema that is too large or too deep."""
    if len(msgspec.json.encode(schema)) > MAX_BYTES:
        raise BadRequest(f"{param} may have {MAX_BYTES // 1024} KiB.", param=param)
    if not _is_within(schema, MAX_DEPTH):
        raise BadRequest(f"{param} may be nested {MAX_DEPTH} deep.", param=param)


def _is_within(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(_is_within(child, depth - 1) for child in value.values())
    if isinstance(value, list):
        return all(_is_within(child, depth - 1) for child in value)
    return True
