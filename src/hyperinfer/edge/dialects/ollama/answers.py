"""Answers in Ollama's form: a line of JSON for each piece of text, the last one with what it took.

Pure but for the clock. Times are those that are known here: until the first token, and from there to the end. How long a
model took to load is not, and left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from hyperinfer.contracts.gateway import Inferred
from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.edge.dialects.ollama.errors import body_of
from hyperinfer.edge.dialects.ollama.said import Calls, Piece, read_logprobs, read_piece
from hyperinfer.errors import BackendFailed, HyperinferError
from hyperinfer.facilities.clock import Clock

NDJSON = b"application/x-ndjson"
REASONS: Mapping[str, str] = {"length": "length"}
"""Why an answer ended, where Ollama does not simply call it `stop`."""
NS = 1_000_000_000
ENDS: Mapping[bytes, bytes] = {char.encode(): f"\\u{ord(char):04x}".encode() for char in "\x85\u2028\u2029"}
"""What JSON may hold as it is and yet ends a line for some readers, Python's `httpx` among them."""


class OllamaFunctionCall(Struct, frozen=True):
    """A function that the model calls; `arguments` is an object."""

    index: int
    name: str
    arguments: Raw


class OllamaToolCall(Struct, frozen=True):
    """A tool that the model calls."""

    id: str
    function: OllamaFunctionCall


class OllamaSaid(Struct, frozen=True, omit_defaults=True):
    """What the assistant says, or a piece of it."""

    role: str
    content: str
    thinking: str = ""
    tool_calls: tuple[OllamaToolCall, ...] = ()


class OllamaLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of an answer, or all of it; `done` is the last, and says why it ended. `message` is a chat's, `response` a
    prompt's. Durations are in nanoseconds; what is 0 is not there.
    """

    model: str
    created_at: str
    message: OllamaSaid | UnsetType = UNSET
    response: str | UnsetType = UNSET
    thinking: str = ""
    done: bool
    done_reason: str = ""
    logprobs: tuple[Raw, ...] = ()
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


Fields = dict[str, Any]
Write = Callable[[OllamaSaid], Fields]

_encode = msgspec.json.Encoder().encode


def chat_line(said: OllamaSaid) -> Fields:
    """What a line of a chat says."""
    return {"message": said}


def text_line(said: OllamaSaid) -> Fields:
    """What a line says that answers a prompt."""
    return {"response": said.content, "thinking": said.thinking}


class Lines:
    """An answer, in one piece or line by line. Tool calls are held back until they are whole: an object cannot be sent in
    pieces. A call whose arguments are no object is said as text, as Ollama does with what it cannot read.
    """

    stream_type = NDJSON

    def __init__(self, write: Write, model: str, clock: Clock) -> None:
        self._write = write
        self._model = model
        self._clock = clock
        self._began = clock.monotonic()
        self._first: float | None = None
        self._calls = Calls()
        self._reason = ""
        self._usage = CompletionUsage()

    def whole(self, inferred: Inferred) -> bytes:
        """All of it in one object."""
        content, thinking, logprobs = self._take(read_piece(inferred.processed.completion))
        text, calls = _called(self._calls)
        took = inferred.processed
        return _encode(
            self._last(
                OllamaSaid("assistant", content + text, thinking, calls),
                logprobs,
                first_s=took.first_token_s - took.queued_s,
                later_s=took.duration_s - took.first_token_s,
            )
        )

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """A line for each chunk that says something."""
        lines = []
        for chunk in chunks:
            content, thinking, logprobs = self._take(read_piece(chunk))
            if content or thinking or logprobs:
                lines.append(self._line(OllamaSaid("assistant", content, thinking), logprobs))
        return b"".join(lines)

    def end(self) -> bytes:
        """The tools that are called, and the last line."""
        text, calls = _called(self._calls)
        called = self._line(OllamaSaid("assistant", text, "", calls)) if text or calls else b""
        now, first = self._clock.monotonic(), self._first
        last = self._last(
            OllamaSaid("assistant", ""),
            first_s=0.0 if first is None else first - self._began,
            later_s=0.0 if first is None else now - first,
        )
        return called + one_line(_encode(last))

    def failed(self, error: HyperinferError) -> bytes:
        """A line with the error."""
        return one_line(body_of(error))

    def _take(self, piece: Piece) -> tuple[str, str, tuple[Raw, ...]]:
        """What a piece adds: text, thoughts and logprobs; the rest is kept."""
        if piece.usage is not None:
            self._usage = piece.usage
        content, thinking = "", ""
        logprobs: tuple[Raw, ...] = ()
        for choice in piece.choices:
            added = choice.added
            content += (added.content or "") + (added.refusal or "")
            thinking += added.reasoning_content or ""
            logprobs += read_logprobs(choice.logprobs, of_text=choice.text is not None)
            self._calls.take(added.tool_calls or ())
            self._reason = choice.finish_reason or self._reason
        if self._first is None and (content or thinking or self._calls):
            self._first = self._clock.monotonic()
        return content, thinking, logprobs

    def _line(self, said: OllamaSaid, logprobs: tuple[Raw, ...] = ()) -> bytes:
        fields = self._write(said)
        line = OllamaLine(model=self._model, created_at=moment(self._clock), done=False, logprobs=logprobs, **fields)
        return one_line(_encode(line))

    def _last(self, said: OllamaSaid, logprobs: tuple[Raw, ...] = (), *, first_s: float, later_s: float) -> OllamaLine:
        """The end. Raises `BackendFailed` for an answer that has none."""
        if not self._reason:
            raise BackendFailed("The worker's answer ended without a reason.")
        return OllamaLine(
            model=self._model,
            created_at=moment(self._clock),
            done=True,
            done_reason=REASONS.get(self._reason, "stop"),
            logprobs=logprobs,
            total_duration=nanoseconds(self._clock.monotonic() - self._began),
            prompt_eval_count=self._usage.prompt_tokens,
            prompt_eval_duration=nanoseconds(first_s),
            eval_count=self._usage.completion_tokens,
            eval_duration=nanoseconds(later_s),
            **self._write(said),
        )


class Whole:
    """Base of answers that are never streamed."""

    stream_type = NDJSON

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """Nothing."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def failed(self, error: HyperinferError) -> bytes:
        """The error."""
        return body_of(error)


class Loaded(Whole):
    """A model has been loaded, or is given up; what it was made to say for that is nobody's business."""

    def __init__(self, write: Write, model: str, clock: Clock) -> None:
        self._write = write
        self._model = model
        self._clock = clock

    def whole(self, inferred: Inferred) -> bytes:
        """That it is loaded."""
        return self._done("load")

    def given_up(self) -> bytes:
        """That it is kept no longer for who asks."""
        return self._done("unload")

    def _done(self, reason: str) -> bytes:
        fields = self._write(OllamaSaid("assistant", ""))
        line = OllamaLine(
            model=self._model,
            created_at=moment(self._clock),
            done=True,
            done_reason=reason,
            **fields,
        )
        return _encode(line)


def one_line(json: bytes) -> bytes:
    """JSON as a line, for every reader."""
    for end, escaped in ENDS.items():
        if end in json:
            json = json.replace(end, escaped)
    return json + b"\n"


def moment(clock: Clock) -> str:
    """Now, as RFC 3339 has it."""
    return f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}Z"


def nanoseconds(time_s: float) -> int:
    """Seconds in nanoseconds; nothing for what is not known."""
    return max(0, round(time_s * NS))


def _called(calls: Calls) -> tuple[str, tuple[OllamaToolCall, ...]]:
    """The calls, and as text those whose arguments are no object."""
    texts: list[str] = []
    whole: list[OllamaToolCall] = []
    for named, name, arguments in calls.whole():
        if _is_object(arguments):
            function = OllamaFunctionCall(len(whole), name, Raw((arguments.strip() or "{}").encode()))
            whole.append(OllamaToolCall(named, function))
        else:
            texts.append(_encode({"name": name, "arguments": arguments}).decode())
    return "\n".join(texts), tuple(whole)


def _is_object(text: str) -> bool:
    try:
        return not text.strip() or isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
