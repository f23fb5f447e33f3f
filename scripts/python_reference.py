"""Writes docs/reference/python.md from the client library's source and docstrings; a test holds the two together."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hyperinfer import AsyncClient, errors, sdk

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"

HEAD = """# Python library

<!-- Written by scripts/python_reference.py from the library's source and docstrings; change those, then run it again. -->

`from hyperinfer import Client, AsyncClient`; everything else on this page is in `hyperinfer.sdk` and `hyperinfer.errors`. How to use it is in
[the guide](../guides/python.md).

The methods are those of `AsyncClient`. `Client` has the same ones with the same arguments and does not `await`; where an `AsyncGenerator` is given, it
gives an iterator. Arguments after `*` are given by name. A `Prompt` is a text or a sequence of `Message`, a `Part` one of its parts: `TextPart` or `ImagePart`.
"""
GROUPS = (
    ("models", "What the swarm runs"),
    ("account", "Your account"),
    ("sessions", "Sessions"),
    ("keys", "API keys"),
    ("usage", "Usage and limits"),
    ("admin", "Administration"),
)


def page() -> str:
    """The page."""
    return "".join((HEAD, _client(), *_groups(), *_types(), *_errors()))


def _client() -> str:
    arguments = "\n".join(f"    {one}," for one in _arguments(_parsed(AsyncClient.__init__)))
    about = inspect.getdoc(AsyncClient)
    return f"\n## The client\n\n```python\nAsyncClient(\n{arguments}\n)\n```\n\n{about}\n\n{_methods(AsyncClient, 'client')}"


def _groups() -> Iterator[str]:
    client = AsyncClient("http://localhost", api_key="k")
    for name, title in GROUPS:
        group = getattr(client, name)
        yield f"\n## {title}: `client.{name}`\n\n{_about(group)}\n\n{_methods(type(group), f'client.{name}')}"
        for inner, held in vars(group).items():
            if not inner.startswith("_"):
                where = f"client.{name}.{inner}"
                yield f"\n### `{where}`\n\n{_about(held)}\n\n{_methods(type(held), where)}"


def _methods(kind: type, where: str) -> str:
    rows = [
        f"| `{where}.{name}{_call(method)}` | {_about(method)} |\n"
        for name, method in vars(kind).items()
        if not name.startswith("_") and inspect.isfunction(method)
    ]
    return "".join(("| method | what |\n|---|---|\n", *rows))


def _types() -> Iterator[str]:
    yield "\n## What is said and answered\n\n`**options` are the fields of the class that is named there.\n\n"
    yield "| name | fields | what |\n|---|---|---|\n"
    for name in sdk.__all__:
        kind = getattr(sdk, name)
        if (inspect.isclass(kind) or inspect.isfunction(kind)) and kind not in (sdk.Client, AsyncClient):
            yield f"| `{name}` | {_fields(kind)} | {_about(kind)} |\n"


def _fields(kind: Any) -> str:
    """What a class has beyond its base, or how a function is called."""
    if inspect.isfunction(kind):
        return f"`{_call(kind)}`"
    tree = _parsed(kind)
    assert isinstance(tree, ast.ClassDef)
    found = [
        _cell(f"{_text(one.target)}: {_text(one.annotation)}") for one in tree.body if isinstance(one, ast.AnnAssign)
    ]
    found += [
        f".{name}" if isinstance(member, property) else f".{name}{_call(member)}"
        for name, member in vars(kind).items()
        if not name.startswith("_") and (isinstance(member, property) or inspect.isfunction(member))
    ]
    base = next((_text(one) for one in tree.bases if hasattr(sdk, _text(one))), "")
    return ", ".join([f"those of `{base}`"] * bool(base) + [f"`{one}`" for one in found])


def _errors() -> Iterator[str]:
    yield "\n## Errors\n\n"
    yield "All are of `HyperinferError`: `error.message`, `error.details`, and on the class `code`, and `retryable` where it may help to try again.\n\n"
    yield "| class | is a | code | retryable | when |\n|---|---|---|---|---|\n"
    for kind in _tree(errors.HyperinferError.__subclasses__()):
        assert kind.__base__ is not None
        base = "" if kind.__base__ is errors.HyperinferError else f"`{kind.__base__.__name__}`"
        again = "yes" if kind.retryable else ""
        yield f"| `{kind.__name__}` | {base} | `{kind.code}` | {again} | {_about(kind)} |\n"


def _tree(kinds: Sequence[type[errors.HyperinferError]]) -> Iterator[type[errors.HyperinferError]]:
    for kind in kinds:
        if kind.__module__ == errors.__name__:
            yield kind
            yield from _tree(kind.__subclasses__())


# --- source, as it is written --------------------------------------------------------------------------------


def _parsed(thing: Callable[..., Any]) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def _call(function: Callable[..., Any]) -> str:
    tree = _parsed(function)
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    returned = _text(tree.returns) if tree.returns else "None"
    return _cell(f"({', '.join(_arguments(tree))})" + ("" if returned == "None" else f" -> {returned}"))


def _arguments(tree: ast.stmt) -> list[str]:
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    given = tree.args
    plain = [None] * (len(given.args) - len(given.defaults)) + list(given.defaults)
    found = [_argument(one, default) for one, default in zip(given.args, plain, strict=True) if one.arg != "self"]
    if given.kwonlyargs:
        found.append("*")
        found += [_argument(one, default) for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg:
        found.append(f"**{_argument(given.kwarg, None)}")
    return found


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {_text(one.annotation)}" if one.annotation else ""
    value = "" if default is None else f" = {'…' if isinstance(default, ast.Lambda) else _text(default)}"
    return f"{one.arg}{annotation}{value}"


def _text(tree: ast.AST) -> str:
    return ast.unparse(tree).replace("Unpack[", "").replace("Options]", "Options").replace("Query]", "Query")


def _about(thing: object) -> str:
    """A docstring as one cell of a table."""
    return _cell(" ".join((inspect.getdoc(thing) or "").split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
