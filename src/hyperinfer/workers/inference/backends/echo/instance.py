"""The smallest value that is valid under a JSON schema, for schemas of the usual kinds."""

from typing import Any

MAX_DEPTH = 32


def instance(schema: Any, depth: int = MAX_DEPTH) -> Any:
    """A value; of what is not understood, null. Required properties alone are given, of alternatives the first."""
    if depth == 0 or not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if schema.get(alternatives):
            return instance(schema[alternatives][0], depth - 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    return _of_kind(kind or ("object" if "properties" in schema else ""), schema, depth)


def _of_kind(kind: str, schema: dict[str, Any], depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: instance(properties.get(name), depth - 1) for name in schema.get("required") or ()}
    if kind == "array":
        return [instance(schema.get("items"), depth - 1) for _ in range(_bound(schema, "minItems"))]
    if kind == "string":
        return "echo".ljust(_bound(schema, "minLength"), ".")
    return {"integer": _bound(schema, "minimum"), "number": _bound(schema, "minimum"), "boolean": True}.get(kind)


def _bound(schema: dict[str, Any], name: str) -> int:
    value = schema.get(name, 0)
    return min(int(value), 1000) if isinstance(value, int | float) else 0
