"""The same description in OpenAPI 3.0.3, which is what the viewer at `/docs` reads. Pure."""

from typing import Any

Json = dict[str, Any]


def as_3_0(document: Json) -> Json:
    """A 3.1 document of ours in 3.0.3: null is a word beside a type there, so is an open
    bound beside a bound, and a reference stands alone."""
    older: Json = _older(document)
    info = {**older["info"], "license": {"name": older["info"]["license"]["name"]}}
    return {**older, "openapi": "3.0.3", "info": info}


def _older(value: Any) -> Any:
    if isinstance(value, list):
        return [_older(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {name: _older(item) for name, item in value.items()}
    if isinstance(kinds := schema.get("type"), list):
        [kind] = [kind for kind in kinds if kind != "null"]
        schema |= {"type": kind, "nullable": True}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for bound in ("maximum", "minimum"):
        if (open_bound := f"exclusive{bound.title()}") in schema:
            schema |= {bound: schema[open_bound], open_bound: True}
    if NULL in schema.get("anyOf", ()):
        rest = [part for part in schema.pop("anyOf") if part != NULL]
        schema |= {"anyOf": rest, "nullable": True} if len(rest) > 1 else _nullable(rest[0])
    return schema


def _nullable(schema: Json) -> Json:
    return {"allOf": [schema], "nullable": True} if "$ref" in schema else {**schema, "nullable": True}


NULL = {"type": "null"}
