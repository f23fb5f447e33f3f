"""JSON into Structs, where what is wrong becomes a sentence that names the field."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from hyperinfer.errors import BadRequest
from hyperinfer.protocol.choices import choices

T = TypeVar("T")

WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}

MALFORMED = "JSON is malformed: "

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises where others wrote the bytes: no JSON, another form, no UTF-8, or nested more deeply than anybody reads."""

_AT = re.compile(r"^(.*) - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_TYPES = re.compile(r"^Expected `([^`]+)`, got `([^`]+)`$")
_BOUND = re.compile(r"^Expected `([^`]+)`( of length)? (>=|<=|>|<) (\S+)$")
_MISSING = re.compile(r"^Object missing required field `([^`]+)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.+)`$", re.DOTALL)
_VALUE = re.compile(r"^Invalid (?:enum )?value (.+)$", re.DOTALL)


def decode(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """JSON as a Struct. Raises `BadRequest` with the field's path in `param`."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise refusal(str(error), decoder.type) from error
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not valid JSON: {str(error).removeprefix(MALFORMED)}.") from error


def object_text(raw: msgspec.Raw, param: str) -> str:
    """An object as the JSON that it was sent as, for who takes it as a text. Of what is only skipped while it is read nobody
    has seen yet whether it is UTF-8. Raises `BadRequest`."""
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"{param} is not UTF-8.", param=param) from error
    if not text.startswith("{"):
        raise BadRequest(f"{param} must be an object.", param=param)
    return text


def refusal(text: str, kind: Any = None) -> BadRequest:
    """The error for a message of msgspec's, such as "Expected `int`, got `str` - at `$.seed`". With the type that was expected it
    tells the words that a field may hold, where these are few."""
    at = _AT.match(text)
    what, path = (at[1], at[2]) if at else (text, "")
    if missing := _MISSING.match(what):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return BadRequest(f"{path} is missing.", param=path)
    if unknown := _UNKNOWN.match(what):
        path = f"{path}.{unknown[1]}" if path else unknown[1]
        return BadRequest(f"{path[:80]!r} is not a field that can be given here.", param=path[:80])
    words = choices(kind, path) if kind is not None and _VALUE.match(what) else ()
    instead = f": it may be {_or(words)}" if words else ""
    return BadRequest(f"{path or 'The body'} {_fault(what)}{instead}.", param=path)


def _fault(what: str) -> str:
    if types := _TYPES.match(what):
        return f"must be {_any_of(types[1])}, not {_word(types[2])}"
    if bound := _BOUND.match(what):
        kind, of_length, sign, number = bound.groups()
        limit = f"{BOUNDS[sign]} {number.removesuffix('.0')}"
        if of_length:
            unit = "character" if kind == "str" else "item"
            return f"must have {limit} {unit}{'' if number == '1' else 's'}"
        return f"must be {limit}"
    if value := _VALUE.match(what):
        return f"cannot be {value[1][:80]}"
    return f"is wrong: {what}"


def _any_of(types: str) -> str:
    return _or([_word(kind) for kind in types.split(" | ")])


def _or(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _word(kind: str) -> str:
    return WORDS.get(kind, kind)
