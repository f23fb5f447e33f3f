"""Every log call and every noted fact in the product, held against the table of what may be shown."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import hyperinfer
from hyperinfer.facilities.log.fields import FIELDS, sentence

SOURCE = Path(hyperinfer.__file__).parent
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
LOGGERS = frozenset({"log", "_log"})
OF_STRUCTLOG = frozenset({"exc_info"})
NOTES = frozenset({"note"})
OTHERS_NOTES = frozenset({"database", "_database", "_progress", "progress", "_shelf", "entry", "meters", "_noting"})
"""What is noted of these goes elsewhere: into a database, a journal or onto a terminal."""


class LogCall(NamedTuple):
    """A call, and where it stands."""

    where: str
    method: str
    node: ast.Call


def owner(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Attribute)
    value = node.func.value
    return value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""


def calls() -> Iterator[LogCall]:
    """Calls of methods that have the name of one which logs or notes."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS | NOTES:
                yield LogCall(f"{path.relative_to(SOURCE)}:{node.lineno}", node.func.attr, node)


CALLS = list(calls())
LOG_CALLS = [call for call in CALLS if call.method in LEVELS and owner(call.node) in LOGGERS]
NOTED = [call for call in CALLS if call.method in NOTES and owner(call.node) not in OTHERS_NOTES]


def fields(call: LogCall) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.node.keywords if keyword.arg is not None}


def is_name(arguments: list[ast.expr]) -> bool:
    """Whether a call's arguments are one name of something that has happened, for people to look for."""
    value = arguments[0].value if len(arguments) == 1 and isinstance(arguments[0], ast.Constant) else None
    return isinstance(value, str) and value.islower() and value.replace("_", "").isalnum()


def is_made_of_anything(value: ast.expr) -> bool:
    """Whether a sentence is somebody else's: `str(error)`, or a string formatted round an error."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
            return True
        if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and "err" in node.value.id:
            return True
    return False


def test_the_log_calls_are_found() -> None:
    assert len(LOG_CALLS) > 90


def test_what_happened_is_a_literal() -> None:
    assert [call.where for call in LOG_CALLS if not is_name(call.node.args)] == []


def test_fields_are_declared_with_the_kind_of_thing_they_hold() -> None:
    unknown = [
        f"{call.where} {name}" for call in LOG_CALLS for name in fields(call).keys() - FIELDS.keys() - OF_STRUCTLOG
    ]
    assert unknown == [], "declare them in facilities/log/fields.py"


def test_no_sentence_is_made_of_an_exception_of_somebody_elses() -> None:
    assert [
        f"{call.where} {name}"
        for call in LOG_CALLS
        for name, value in fields(call).items()
        if FIELDS.get(name) is sentence and is_made_of_anything(value)
    ] == []


def test_noted_facts_are_declared() -> None:
    assert len(NOTED) > 3
    assert [f"{call.where} {name}" for call in NOTED for name in fields(call) if name not in FIELDS] == []
