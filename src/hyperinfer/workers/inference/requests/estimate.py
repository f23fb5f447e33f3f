"""How many tokens a chat's prompt has, about, where no tokenizer can be asked."""

import msgspec

from hyperinfer.contracts.openai import ChatRequest, ImagePart, Message
from hyperinfer.workers.inference.requests.chat import text_of

BYTES_A_TOKEN = 4
"""Of text in European languages; of others a tokenizer makes more tokens of fewer letters, which are longer in UTF-8."""
AROUND_MESSAGE = 4
"""What a template puts round a message."""
AN_IMAGE = 576
"""What models make of an image of middling size."""

_size = msgspec.json.Encoder()


def estimate(asked: ChatRequest) -> int:
    """Tokens, about: never none."""
    tools = len(_size.encode(asked.tools)) // BYTES_A_TOKEN if asked.tools else 0
    return tools + sum(map(_of_message, asked.messages))


def _of_message(message: Message) -> int:
    size = len(text_of(message).encode(errors="replace")) + len(
        (message.reasoning_content or "").encode(errors="replace")
    )
    size += sum(len(call.function.name) + len(call.function.arguments) for call in message.tool_calls or ())
    parts = message.content if isinstance(message.content, tuple) else ()
    images = sum(isinstance(part, ImagePart) for part in parts)
    return AROUND_MESSAGE + AN_IMAGE * images - (-size // BYTES_A_TOKEN)
