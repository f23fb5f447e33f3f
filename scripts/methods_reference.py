"""Writes docs/reference/methods.md from the contracts and the workers' own routes; a test holds the two together."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec

from hyperinfer.contracts import (
    audit,
    auth,
    common,
    directory,
    gateway,
    inference,
    logs,
    membership,
    metrics,
    people,
    reports,
    usage,
)
from hyperinfer.contracts.method import Method

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "methods.md"

HEAD = """# Methods

<!-- Written by scripts/methods_reference.py from the contracts; change those, then run it again. -->

What workers and peers say to each other over Hyperswarm: JSON in UTF-8 on `@hyperswarm/rpc`. A request is `{"data": {…}, "meta": {…}}`, or its fields bare with `meta` among
them. Fields in bold must be there; fields that are not known are ignored, and those that have their default are left out of what is sent. `meta` may hold `key` (a session token or API
key), `requestId`, `traceparent` and `deadlineMs` (the time that remains). An error is the JSON text `[HRPC_ERR]=CODE: message {json}`.

A method that *streams* is asked with `stream: true`, an `id` and a `window` in chunks, pushes `METHOD.chunk` events `{id, seq, chunks}`, and answers the call itself last. The caller grants more with
`METHOD.more` `{id, n}` and stops early with `METHOD.cancel` `{id}`.

*Who* may call: *anybody*; a *user* with a session, or an API key with that scope; an *administrator*; *an open invite*; or members of the swarm in these roles. The
kernel checks it before the method runs, in one process as over the swarm.
"""
SECTIONS: tuple[tuple[str, str, Sequence[Any]], ...] = (
    ("Every worker", "Answered by each of them.", (common, logs)),
    ("Gateway", "For people, applications and JavaScript peers.", (gateway, people, usage, audit, metrics, reports)),
    (
        "Auth",
        "For gateways and members. What a gateway passes on for a person has the same name here, with `actor` and `wanted`.",
        (auth, directory, membership, usage, audit, reports),
    ),
    ("Inference", "For gateways.", (inference,)),
    ("Metrics", "For members. What a gateway passes on for administrators has the same name here.", (metrics,)),
)
ELSEWHERE = {
    "Every worker": {logs.GATHER_LOGS.name},
    "Gateway": {usage.RECORD_USAGE.name, metrics.RECORD_METRIC.name, reports.SUM_USAGE.name, audit.NOTE_OPERATION.name},
}
"""Of a contract that several sections have, what is answered by another."""


def page() -> str:
    """The page."""
    return "".join((HEAD, *_sections(), *_types()))


def _sections() -> Iterator[str]:
    told: set[int] = set()
    for title, about, modules in SECTIONS:
        yield f"\n## {title}\n\n{about}\n\n| method | who | request | reply |\n|---|---|---|---|\n"
        for module in modules:
            for method in methods(module):
                if id(method) in told or method.name in ELSEWHERE.get(title, ()):
                    continue
                told.add(id(method))
                yield _row(method)


def _types() -> Iterator[str]:
    yield "\n## What stands in them\n\n| name | fields |\n|---|---|\n"
    named: dict[str, type[msgspec.Struct]] = {}
    for _, _, modules in SECTIONS:
        for method in (one for module in modules for one in methods(module)):
            for kind in (method.request, method.reply):
                _gather(kind, named, is_named=False)
    for name, kind in sorted(named.items()):
        yield f"| {name} | {_fields(kind)} |\n"


def _gather(kind: Any, named: dict[str, type[msgspec.Struct]], *, is_named: bool) -> None:
    """Every struct within a type, by its name."""
    for part in get_args(kind):
        _gather(part, named, is_named=True)
    if not (inspect.isclass(kind) and issubclass(kind, msgspec.Struct)) or kind.__name__ in named:
        return
    if is_named:
        named[kind.__name__] = kind
    for field in msgspec.structs.fields(kind):
        _gather(field.type, named, is_named=True)


def methods(module: Any) -> list[Method[Any, Any]]:
    """The methods that a module declares, in its order."""
    own = [one for one in vars(module).values() if isinstance(one, Method)]
    return list({id(one): one for one in own}.values())


def _row(method: Method[Any, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in method.names) + (" *streams*" if method.streams else "")
    return f"| {names} | {_who(method)} | {_fields(method.request)} | {_fields(method.reply)} |\n"


def _who(method: Method[Any, Any]) -> str:
    access = method.access
    match access.kind:
        case "public":
            return "*anybody*"
        case "invited":
            return "*an open invite*"
        case "admin":
            return "*administrator*"
        case "user":
            return "*user*, in a session" if access.scope == "session" else f"*user*, `{access.scope}`"
        case _:
            return ", ".join(sorted(access.roles))


def _fields(kind: Any) -> str:
    if not (inspect.isclass(kind) and issubclass(kind, msgspec.Struct)):
        return f"{_kind(kind)}"
    return ", ".join(
        f"**`{one.encode_name}`** {_kind(one.type)}" if one.required else f"`{one.encode_name}` {_kind(one.type)}"
        for one in msgspec.structs.fields(kind)
    )


def _kind(kind: Any) -> str:
    """A type in a word."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Union or type(kind).__name__ == "UnionType":
        return " or ".join(dict.fromkeys(_kind(one) for one in parts if one not in (type(None), msgspec.UnsetType)))
    if origin in (tuple, list, frozenset):
        return f"[{_kind(parts[0])}]"
    if origin is not None and hasattr(kind, "__metadata__"):
        return _kind(parts[0])
    if origin is not None and origin is not dict and inspect.isclass(origin) and issubclass(origin, msgspec.Struct):
        return origin.__name__
    if hasattr(kind, "__metadata__"):
        return _kind(kind.__origin__)
    names = {str: "text", bool: "boolean", int: "number", float: "number", msgspec.Raw: "JSON", bytes: "bytes"}
    if origin is dict or kind is dict:
        return "object"
    if type(kind).__name__ == "_LiteralGenericAlias":
        return " or ".join(f"`{one}`" if one else "nothing" for one in parts)
    return names.get(kind) or str(getattr(kind, "__name__", "JSON"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
