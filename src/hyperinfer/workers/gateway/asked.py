"""What the gateway itself has to know of a request: the model, and how much it may use. The worker reads the rest."""

import msgspec
from msgspec import Raw

from hyperinfer.protocol.typed_json import decode

BYTES_A_TOKEN = 4
"""How many bytes of JSON stand for a token of a prompt, about; the engine counts exactly, afterwards."""
ANSWER_TOKENS = 256
"""How many tokens of an answer are reserved at most: most answers are short, and who reserves what could be used at most
lets few of many requests in."""
NOTHING = (b"", b"null", b"false", b"[]")


class Format(msgspec.Struct, frozen=True):
    """The form of an answer, by its name."""

    type: str = "text"


class Asked(msgspec.Struct, frozen=True):
    """As much of an OpenAI request as is needed here. Its prompt is `messages` of a chat, `prompt` of a completion, or
    `input` of embeddings."""

    model: str | None = None
    messages: Raw = Raw(b"")
    prompt: Raw = Raw(b"")
    input: Raw = Raw(b"")
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    response_format: Format | None = None
    tools: Raw = Raw(b"")
    logprobs: Raw = Raw(b"")
    suffix: Raw = Raw(b"")
    service_tier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def text(self) -> memoryview:
        """The prompt as its sender wrote it."""
        return memoryview(self.messages or self.prompt or self.input)

    @property
    def prompt_estimate(self) -> int:
        """Tokens of the prompt, about."""
        return -(-len(self.text) // BYTES_A_TOKEN)

    @property
    def reservation(self) -> int:
        """Tokens to reserve until it is known what was used."""
        if self.input:
            return self.prompt_estimate
        most = self.max_completion_tokens or self.max_tokens or ANSWER_TOKENS
        return self.prompt_estimate + min(max(most, 1), ANSWER_TOKENS) * max(1, self.n or 1)

    @property
    def is_resumable(self) -> bool:
        """Whether the answer can be gone on with from its text alone."""
        plain = self.response_format is None or self.response_format.type == "text"
        single = (self.n or 1) == 1 and not self.input
        return plain and single and all(bytes(field) in NOTHING for field in (self.tools, self.logprobs, self.suffix))


_asked = msgspec.json.Decoder(Asked)


def read(body: Raw) -> Asked:
    """Read a request's body. Raises `BadRequest`."""
    return decode(_asked, body)
