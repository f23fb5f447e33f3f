"""What the gateway itself has to know of a request: the model, and how much it may use. The worker reads the rest."""

import msgspec

from hyperinfer.protocol.typed_json import decode

BYTES_A_TOKEN = 4
"""How many bytes of JSON stand for a token of a prompt, about; the engine counts exactly, afterwards."""
ANSWER_TOKENS = 256
"""How many tokens of an answer are reserved at most: most answers are short, and who reserves what could be used at most
lets few of many requests in."""


class Asked(msgspec.Struct, frozen=True):
    """As much of an OpenAI request as is needed here."""

    model: str | None = None
    messages: msgspec.Raw = msgspec.Raw(b"")
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    @property
    def prompt(self) -> memoryview:
        """The prompt as its sender wrote it."""
        return memoryview(self.messages)

    @property
    def prompt_estimate(self) -> int:
        """Tokens of the prompt, about."""
        return -(-len(self.prompt) // BYTES_A_TOKEN)

    @property
    def reservation(self) -> int:
        """Tokens to reserve until it is known what was used."""
        most = self.max_completion_tokens or self.max_tokens or ANSWER_TOKENS
        return self.prompt_estimate + min(max(most, 1), ANSWER_TOKENS)


_asked = msgspec.json.Decoder(Asked)


def read(body: msgspec.Raw) -> Asked:
    """Read a request's body. Raises `BadRequest`."""
    return decode(_asked, body)
