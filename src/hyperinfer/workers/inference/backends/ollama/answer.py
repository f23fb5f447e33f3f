"""Reading an answer that Ollama streams: bytes in, pieces of the answer out, and in the end how it ended. No I/O."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from hyperinfer.contracts.openai import ChunkChoice, Delta
from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference.backends import End
from hyperinfer.workers.inference.backends.ollama.refusals import refusal

MAX_LINE_BYTES = 4 * 1024 * 1024
REASONS = {"stop": "stop", "length": "length"}


class Function(Struct, frozen=True):
    """What the model calls; the arguments go on as they were written."""

    name: str
    arguments: Raw = Raw(b"{}")


class Call(Struct, frozen=True):
    """A whole call of a tool; older versions give it no id."""

    function: Function
    id: str = ""


class Said(Struct, frozen=True):
    """What a line of a chat adds."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: tuple[Call, ...] | None = None


class Token(Struct, frozen=True):
    """A token and how likely it was. Ollama leaves out what is empty, OpenAI does not."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class SaidToken(Token, frozen=True):
    """A token that was said, and the likeliest ones there."""

    top_logprobs: tuple[Token, ...] = ()


class Line(Struct, frozen=True):
    """One line of `/api/chat` (`message`) or `/api/generate` (`response`, `thinking`); the last one is `done`. What is 0 is
    not there.
    """

    message: Said | None = None
    response: str | None = None
    thinking: str | None = None
    logprobs: tuple[SaidToken, ...] | None = None
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: str | None = None


_line = msgspec.json.Decoder(Line)
_encode = msgspec.json.Encoder().encode


class AnswerReader:
    """One answer as it comes. `param` is where its request has the prompt, `model` what Ollama calls the model; with
    `one_call` only the first tool that the model calls counts.
    """

    def __init__(self, model: str, *, param: str, one_call: bool = False) -> None:
        self._model = model
        self._param = param
        self._most_calls = 1 if one_call else None
        self._rest = b""
        self._calls = 0
        self._end: End | None = None

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return self._end is not None

    def take(self, piece: bytes) -> Sequence[ChunkChoice]:
        """What these bytes add. Raises `BackendFailed` for what makes no sense, and what a failure that Ollama reports is."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise BackendFailed("A line of Ollama's answer does not end.")
        added: list[ChunkChoice] = []
        for line in lines:
            if self.done:
                break
            if line.strip():
                self._take_line(line, added)
        return added

    def end(self) -> End:
        """How it ended. Raises `BackendFailed` if it did not."""
        if self._end is None:
            raise BackendFailed("Ollama's answer ended without its end mark.")
        return self._end

    def _take_line(self, text: bytes, added: list[ChunkChoice]) -> None:
        try:
            line = _line.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BackendFailed("Ollama's answer makes no sense.") from error
        if line.error is not None:
            raise refusal(500, text, model=self._model, param=self._param)
        said = line.message or Said(content=line.response, thinking=line.thinking)
        calls = self._take_calls(said.tool_calls or ())
        logprobs = _logprobs(line.logprobs)
        if said.content or said.thinking or calls is not UNSET or logprobs is not UNSET:
            delta = Delta(content=said.content or None, reasoning_content=said.thinking or None, tool_calls=calls)
            added.append(ChunkChoice(delta, logprobs=logprobs))
        if line.done:
            reason = "tool_calls" if self._calls else REASONS.get(line.done_reason or "stop")
            if reason is None:
                raise BackendFailed("Ollama's answer ended for no reason of an answer.")
            self._end = End.of(reason, line.prompt_eval_count, line.eval_count)

    def _take_calls(self, calls: Sequence[Call]) -> Raw | UnsetType:
        left = None if self._most_calls is None else self._most_calls - self._calls
        deltas: list[dict[str, Any]] = []
        for call in calls[:left]:
            deltas.append(
                {
                    "index": self._calls,
                    "id": call.id or f"call_{secrets.token_hex(8)}",
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": bytes(call.function.arguments).decode()},
                }
            )
            self._calls += 1
        return Raw(_encode(deltas)) if deltas else UNSET


def _logprobs(tokens: Sequence[SaidToken] | None) -> Raw | UnsetType:
    return Raw(_encode({"content": tokens})) if tokens else UNSET
