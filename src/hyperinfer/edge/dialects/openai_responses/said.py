"""What a chat answers, as much of it as a response is made of: whole, or chunk by chunk."""

from typing import TypeVar

from msgspec import Struct, UnsetType, structs

from hyperinfer.contracts.openai import CompletionUsage


class TokenLikelihood(Struct, frozen=True):
    """How likely a token was; `bytes` where it is more, or less, than its text."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


class TokenLogprob(TokenLikelihood, frozen=True):
    """How likely a token of the answer was, and which others were."""

    top_logprobs: tuple[TokenLikelihood, ...] = ()


class Likelihoods(Struct, frozen=True):
    """Those of a piece of text."""

    content: tuple[TokenLogprob, ...] | None = None


class SaidFunction(Struct, frozen=True):
    """A function's name and arguments, or a piece of them."""

    name: str | None = None
    arguments: str | None = None


class SaidCall(Struct, frozen=True):
    """A call, or what a chunk adds to the call `index`."""

    index: int = 0
    id: str | None = None
    function: SaidFunction = SaidFunction()


class Said(Struct, frozen=True):
    """The message of an answer, or what a chunk adds to it."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[SaidCall, ...] | None = None


class SaidChoice(Struct, frozen=True):
    """An answer: its `message` if it is whole, and else a `delta`."""

    message: Said | None = None
    delta: Said = Said()
    index: int = 0
    finish_reason: str | None = None
    logprobs: Likelihoods | None = None

    @property
    def tokens(self) -> tuple[TokenLogprob, ...]:
        """How likely its tokens were, where that is told; each with its bytes."""
        told = self.logprobs.content if self.logprobs else None
        return tuple(_spelled(token) for token in told or ())


class SaidCompletion(Struct, frozen=True):
    """A completion or a chunk of one."""

    id: str
    created: int
    model: str
    choices: tuple[SaidChoice, ...] = ()
    usage: CompletionUsage | None = None


def numbered(message: Said) -> Said:
    """A whole message, whose calls have no numbers, as what a chunk would add all at once."""
    calls = [structs.replace(call, index=index) for index, call in enumerate(message.tool_calls or ())]
    return structs.replace(message, tool_calls=tuple(calls))


def cached_tokens(usage: CompletionUsage) -> int:
    """How many tokens of the prompt needed no work."""
    details = usage.prompt_tokens_details
    return 0 if isinstance(details, UnsetType) or details is None else details.cached_tokens


Token = TypeVar("Token", bound=TokenLikelihood)


def _spelled(token: TokenLogprob) -> TokenLogprob:
    others = tuple(_with_bytes(other) for other in token.top_logprobs)
    return structs.replace(_with_bytes(token), top_logprobs=others)


def _with_bytes(token: Token) -> Token:
    return token if token.bytes is not None else structs.replace(token, bytes=tuple(token.token.encode()))
