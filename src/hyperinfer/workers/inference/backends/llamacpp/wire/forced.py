"""A tool that has to be called: the schema that holds the model to it, and its JSON as the deltas of a tool call."""

import re
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from hyperinfer.contracts.openai import ChunkChoice, Delta, FunctionTool
from hyperinfer.errors import BackendFailed

HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"(?P<name>[a-zA-Z0-9_.-]+)"\s*,\s*"arguments"\s*:\s*')
MAX_HEAD_CHARS = 4096
"""All that may stand before the arguments, spaces included."""


class FunctionDelta(Struct, frozen=True):
    """What is added to a function's call."""

    arguments: str
    name: str | UnsetType = UNSET


class ToolDelta(Struct, frozen=True):
    """What is added to the one tool call; its first delta says which it is."""

    function: FunctionDelta
    index: int = 0
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


def schema(tools: Sequence[FunctionTool]) -> dict[str, Any]:
    """What the answer has to be: the arguments of the one tool, or `{name, arguments}` of one of several."""
    if len(tools) == 1:
        return _arguments(tools[0])
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.function.name}, "arguments": {"$ref": f"#/$defs/{number}"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for number, tool in enumerate(tools)
    ]
    return {
        "$defs": {str(number): _moved(_arguments(tool), f"#/$defs/{number}") for number, tool in enumerate(tools)},
        "anyOf": calls,
    }


class CallReader:
    """The call of one of these tools as it comes, from the text of an answer under `schema`. No I/O."""

    def __init__(self, tools: Sequence[FunctionTool]) -> None:
        self._name = tools[0].function.name if len(tools) == 1 else ""
        self._wrapped = len(tools) > 1
        self._begun = False
        self._held = ""
        """What may be the end of the wrapping, or is not yet the whole of its beginning."""

    def take(self, pieces: Sequence[ChunkChoice]) -> Sequence[ChunkChoice]:
        """The same as deltas of a tool call. Raises `BackendFailed` for what is no call."""
        self._held += "".join(piece.delta.content or "" for piece in pieces)
        return self._deltas(self._arguments_so_far())

    def end(self, finish_reason: str) -> tuple[Sequence[ChunkChoice], str]:
        """What is left, and how it ended. Raises `BackendFailed` for a call that has no end, unless it was cut."""
        if finish_reason == "length":
            return self._deltas(self._held if self._begun else ""), finish_reason
        if not self._begun or (self._wrapped and self._held.strip() != "}"):
            raise BackendFailed("The engine ended a tool call before its end.")
        return (), "tool_calls"

    def _arguments_so_far(self) -> str:
        """Takes from what is held what certainly belongs to the arguments."""
        if not self._wrapped:
            said, self._held = self._held, ""
            return said
        if not self._name:
            head = HEAD.match(self._held)
            if head is None:
                if len(self._held) > MAX_HEAD_CHARS:
                    raise BackendFailed("The engine calls no tool though it must.")
                return ""
            self._name, self._held = head["name"], self._held[head.end() :]
        bare = self._held.rstrip()
        cut = len(bare) - 1 if bare.endswith("}") else len(self._held)
        said, self._held = self._held[:cut], self._held[cut:]
        return said

    def _deltas(self, arguments: str) -> Sequence[ChunkChoice]:
        if not arguments:
            return ()
        if self._begun:
            delta = ToolDelta(FunctionDelta(arguments))
        else:
            self._begun = True
            named = FunctionDelta(arguments, self._name)
            delta = ToolDelta(named, id=f"call_{secrets.token_hex(12)}", type="function")
        return (ChunkChoice(Delta(tool_calls=Raw(_encoder.encode([delta])))),)


def _arguments(tool: FunctionTool) -> dict[str, Any]:
    """The schema of a tool's arguments: what is declared and nothing else, unless it says otherwise."""
    parameters = tool.function.parameters or {"type": "object", "properties": {}}
    return {"additionalProperties": False, **parameters} if "properties" in parameters else parameters


def _moved(schema: Any, root: str) -> Any:
    """The same schema with references that hold where it is a part of another."""
    if isinstance(schema, dict):
        return {
            key: root + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, root)
            for key, value in schema.items()
        }
    return [_moved(one, root) for one in schema] if isinstance(schema, list) else schema
