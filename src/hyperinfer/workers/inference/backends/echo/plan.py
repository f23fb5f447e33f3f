"""What the echo backend says to a request: decided before it says anything. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from hyperinfer.contracts.openai import (
    ChatRequest,
    ChunkChoice,
    CompletionRequest,
    Delta,
    FunctionTool,
    JsonSchemaFormat,
    NamedTool,
    TextFormat,
)
from hyperinfer.workers.inference.backends import REASONING
from hyperinfer.workers.inference.backends.echo.instance import instance
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.requests.chat import text_of

GARBAGE = ('"', "\\", "\x00\x1f\x7f", "\n\ndata: [DONE]\n\n", '{"error":{}}', "\u2028\u202e", "🙃", "</script>", "\r\n")
LOGPROB = -0.5
ARGUMENT_CHARS = 8
"""In how large pieces the arguments of a tool's call are said."""

_tokens = re.compile(r"\s*\S+|\s+")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Plan:
    """The pieces of an answer, how many tokens they are, and why it ends there: of its own, or at the text `stopped_by`."""

    pieces: Sequence[ChunkChoice]
    tokens: int
    finish_reason: str
    stopped_by: str = ""


def of_chat(asked: ChatRequest, settings: EchoSettings, so_far: str) -> Plan:
    """What to say to a chat."""
    tool = _tool(asked)
    if tool is not None:
        return _called(tool)
    wanted = asked.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        text = _last_said(asked)
    elif isinstance(wanted, JsonSchemaFormat):
        text = _encode(instance(wanted.json_schema.schema)).decode()
    else:
        text = _encode({"said": _last_said(asked)}).decode()
    numbered = settings.tokens if wanted is None else 0
    plan = _text(
        text, asked, settings, so_far, numbered=numbered, top=(asked.top_logprobs or 0) if asked.logprobs else None
    )
    thoughts = _thoughts(asked.reasoning_effort) if REASONING in settings.capabilities and not so_far else []
    return replace(plan, pieces=(*thoughts, *plan.pieces), tokens=plan.tokens + len(thoughts))


def of_text(asked: CompletionRequest, settings: EchoSettings, so_far: str) -> Plan:
    """How to go on with a text: by saying it again."""
    assert isinstance(asked.prompt, str)
    return _text(asked.prompt, asked, settings, so_far, numbered=settings.tokens, top=asked.logprobs)


def numbered_pieces(settings: EchoSettings) -> Sequence[ChunkChoice]:
    """The answer of so many numbered words."""
    return _pieces(list(_numbered(settings.tokens)), settings.tokens_per_chunk)


def garbage() -> Plan:
    """Text made to confuse whoever passes it on."""
    return Plan(_pieces(GARBAGE, 1), len(GARBAGE), "stop")


def words_of(text: str) -> list[str]:
    """The tokens of a text."""
    return _tokens.findall(text)


def _text(
    text: str,
    asked: ChatRequest | CompletionRequest,
    settings: EchoSettings,
    so_far: str,
    *,
    numbered: int,
    top: int | None,
) -> Plan:
    words = list(_numbered(numbered)) if numbered else words_of(text)
    whole, stopped_by = _until("".join(words), asked.stops)
    if so_far:
        whole = whole.removeprefix(so_far)
    words = words_of(whole)
    finish_reason, limit = "stop", asked.limit_tokens
    if limit is not None and len(words) > limit:
        words, finish_reason, stopped_by = words[:limit], "length", ""
    return Plan(_pieces(words, settings.tokens_per_chunk, top=top), len(words), finish_reason, stopped_by)


def _thoughts(effort: str | None) -> list[ChunkChoice]:
    """What it thinks first, if it is told to: how much that is."""
    thoughts = words_of(f"This takes {effort} effort.") if effort not in (None, "none") else []
    return [ChunkChoice(Delta(reasoning_content=thought)) for thought in thoughts]


def _tool(asked: ChatRequest) -> FunctionTool | None:
    """The tool to call: the one that is named, or the first; left to choose, none once a tool has answered."""
    tools = [tool for tool in asked.tools or () if isinstance(tool, FunctionTool)]
    choice = asked.tool_choice
    if not tools or choice == "none":
        return None
    if isinstance(choice, NamedTool):
        return next(tool for tool in tools if tool.function.name == choice.function.name)
    return None if choice != "required" and asked.messages[-1].role == "tool" else tools[0]


def _called(tool: FunctionTool) -> Plan:
    function = tool.function
    arguments = _encode(instance(function.parameters) or {}).decode()
    deltas: list[dict[str, Any]] = [
        {
            "index": 0,
            "id": f"call_{function.name}",
            "type": "function",
            "function": {"name": function.name, "arguments": ""},
        }
    ]
    deltas += (
        {"index": 0, "function": {"arguments": arguments[start : start + ARGUMENT_CHARS]}}
        for start in range(0, len(arguments), ARGUMENT_CHARS)
    )
    pieces = tuple(ChunkChoice(Delta(tool_calls=Raw(_encode([delta])))) for delta in deltas)
    return Plan(pieces, len(pieces), "tool_calls")


def _last_said(asked: ChatRequest) -> str:
    said = [message for message in asked.messages if message.role in ("user", "tool")]
    return text_of(said[-1]) if said else ""


def _until(text: str, stops: Sequence[str]) -> tuple[str, str]:
    """The text up to the first of these, and which one that is."""
    at, stop = min(((at, stop) for stop in stops if (at := text.find(stop)) >= 0), default=(len(text), ""))
    return text[:at], stop


def _numbered(tokens: int) -> Iterator[str]:
    return (f"{' ' if number else ''}word{number}" for number in range(tokens))


def _pieces(words: Sequence[str], size: int, *, top: int | None = None) -> tuple[ChunkChoice, ...]:
    cut = [words[start : start + size] for start in range(0, len(words), size)]
    return tuple(
        ChunkChoice(Delta(content="".join(part)), logprobs=UNSET if top is None else _logprobs(part, top))
        for part in cut
    )


def _logprobs(words: Sequence[str], top: int) -> Raw:
    said = [{"token": word, "logprob": LOGPROB, "bytes": list(word.encode())} for word in words]
    return Raw(_encode({"content": [{**one, "top_logprobs": [one] if top else []} for one in said]}))
