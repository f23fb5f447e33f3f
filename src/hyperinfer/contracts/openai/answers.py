"""OpenAI's answers: what we read of a backend's chunks, and what we write."""

from msgspec import UNSET, Raw, Struct, UnsetType

# --- what backends say -----------------------------------------------------------------------------------


class CachedTokens(Struct, frozen=True):
    """How many tokens of the prompt needed no work."""

    cached_tokens: int = 0


class CompletionUsage(Struct, frozen=True):
    """Tokens as the engine's tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: CachedTokens | UnsetType | None = UNSET

    @classmethod
    def of(cls, prompt_tokens: int, completion_tokens: int) -> "CompletionUsage":
        """So many tokens, added up."""
        return cls(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)


class Delta(Struct, frozen=True, omit_defaults=True):
    """What a chunk adds to an answer. `tool_calls` is OpenAI's list of their deltas, as it goes on."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: Raw | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True):
    """A chunk's part of the answer `index`. `logprobs` goes on as it is."""

    delta: Delta = Delta()
    index: int = 0
    finish_reason: str | None = None
    logprobs: Raw | UnsetType = UNSET


class ChunkError(Struct, frozen=True):
    """A failure after the stream has begun."""

    message: str = ""


class Chunk(Struct, frozen=True):
    """As much of a backend's chunk as goes on; whatever else it says stays behind. `stopped_by` is the text in `stop` that
    ended the answer, where the backend tells."""

    choices: tuple[ChunkChoice, ...] = ()
    usage: CompletionUsage | None = None
    error: ChunkError | None = None
    stopped_by: str = ""


# --- what we write ---------------------------------------------------------------------------------------


class AnsweredFunction(Struct, frozen=True):
    """A function the model calls, its arguments put together."""

    name: str
    arguments: str


class AnsweredToolCall(Struct, frozen=True):
    """A tool the model calls."""

    id: str
    function: AnsweredFunction
    type: str = "function"


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The whole answer. `content` is null where tools are called and nothing is said; `reasoning_content` is there where
    the model thinks aloud.
    """

    role: str = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: tuple[AnsweredToolCall, ...] | UnsetType = UNSET


class AnswerChoice(Struct, frozen=True, kw_only=True):
    """One answer and why it ended; `stop_reason` is the text in `stop` that ended it, where the model's server tells."""

    index: int
    message: AnswerMessage
    finish_reason: str
    stop_reason: str | UnsetType = UNSET
    logprobs: Raw | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """The reply to a chat that is not streamed."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: tuple[AnswerChoice, ...]
    usage: CompletionUsage


class TextChoice(Struct, frozen=True, kw_only=True):
    """One text of the older completions API and why it ended."""

    text: str
    index: int
    logprobs: Raw | None = None
    finish_reason: str


class TextCompletion(Struct, frozen=True, kw_only=True):
    """The reply to a completion that is not streamed."""

    id: str
    object: str = "text_completion"
    created: int
    model: str
    choices: tuple[TextChoice, ...]
    usage: CompletionUsage


class EmbeddingUsage(Struct, frozen=True):
    """Tokens of the inputs."""

    prompt_tokens: int
    total_tokens: int


class Embedding(Struct, frozen=True, kw_only=True):
    """One vector: numbers, or little-endian float32 in base64."""

    object: str = "embedding"
    index: int
    embedding: tuple[float, ...] | str


class Embeddings(Struct, frozen=True, kw_only=True):
    """The reply to a request for embeddings, in the order of its inputs."""

    object: str = "list"
    data: tuple[Embedding, ...]
    model: str
    usage: EmbeddingUsage
