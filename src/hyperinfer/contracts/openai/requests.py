"""OpenAI's requests: chat completions, completions and embeddings, as much of them as is understood.

Unknown fields are passed over, as OpenAI does; a known one of a wrong type is refused. Of fields typed `Anything` it is
only known whether they are there.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct

from hyperinfer.contracts.openai.content import Anything, Message, ResponseFormat, Tool, ToolChoice

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1)]
Stop = Annotated[str, Meta(min_length=1, max_length=1024)]
Stops = Annotated[tuple[Stop, ...], Meta(max_length=16)]
Bias = Annotated[dict[str, Annotated[float, Meta(ge=-100, le=100)]], Meta(max_length=1024)]
Choices = Annotated[int, Meta(ge=1, le=128)]
TokenNumber = Annotated[int, Meta(ge=0)]
TokenNumbers = tuple[TokenNumber, ...]
Inputs = str | Annotated[tuple[str | TokenNumber | TokenNumbers, ...], Meta(min_length=1, max_length=2**17)]
"""A text or several, the tokens of one by number, or those of several."""
ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]
DEFAULT_COMPLETION_TOKENS = 16
"""How long an answer of the older completions API may be where its request does not say."""


class StreamOptions(Struct, frozen=True):
    """`include_usage` asks for one more chunk with the usage, last."""

    include_usage: bool | None = None


class Sampled(Struct, frozen=True, kw_only=True):
    """What chats and completions have in common. `service_tier` `flex` waits behind everybody who is in a hurry.

    `top_k` (0 and -1 limit nothing), `min_p` and `repeat_penalty` (1 changes nothing) are not OpenAI's, but most engines'.
    """

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stop: Stop | Stops | None = None
    seed: int | None = None
    logit_bias: Bias | None = None
    n: Choices | None = None
    user: str | None = None
    service_tier: ServiceTier | None = None

    @property
    def limit_tokens(self) -> int | None:
        """How many tokens an answer may have; `None` where nothing but the model's context limits it."""
        return self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else self.stop

    @property
    def wants_usage(self) -> bool:
        """Whether a streamed answer ends with a usage chunk."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class ChatRequest(Sampled, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions`.

    Source: https://platform.openai.com/docs/api-reference/chat
    """

    messages: Annotated[tuple[Message, ...], Meta(min_length=1)]
    max_completion_tokens: Tokens | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[tuple[Tool, ...], Meta(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] | None = None
    functions: Anything = UNSET
    function_call: Anything = UNSET
    audio: Anything = UNSET
    web_search_options: Anything = UNSET

    @property
    def limit_tokens(self) -> int | None:
        """How many tokens an answer may have, under either of the field's two names."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionRequest(Sampled, frozen=True, kw_only=True):
    """The body of `POST /v1/completions`: a text, or tokens by number, to be gone on with. Several are answered apart.

    Source: https://platform.openai.com/docs/api-reference/completions
    """

    prompt: Inputs
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    best_of: Choices | None = None

    @property
    def limit_tokens(self) -> int:
        """How many tokens an answer may have."""
        return DEFAULT_COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/embeddings`.

    Source: https://platform.openai.com/docs/api-reference/embeddings
    """

    input: Inputs
    model: str | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    service_tier: ServiceTier | None = None
