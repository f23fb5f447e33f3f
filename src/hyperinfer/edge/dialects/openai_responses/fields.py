"""What becomes of every field that a request for a response may have: translated, passed over, or refused by name."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from hyperinfer.contracts.openai import is_given
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.protocol.typed_json import decode

TRANSLATED = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)
"""They make the chat that is asked for, or how its answer is written."""

PASSED_OVER: Mapping[str, str] = {
    "image": "Images go to the model as they are.",
    "max_tool_calls": "It counts calls of hosted tools, and there are none.",
    "metadata": "The caller has it back.",
    "prompt_cache_options": "Engines keep the beginnings of prompts as they can.",
    "prompt_cache_retention": "The same.",
    "store": "It is answered false.",
    "truncation": "What is too long is refused.",
}
"""They change nothing here, and why. Where one asks for more than that, it is refused."""

KEPT_NOWHERE = "Nothing is kept here between requests: send the conversation as input."
REFUSED: Mapping[str, str] = {
    "access_programs": "There are none here.",
    "background": "Nothing is kept here for later: stay, or ask for a stream.",
    "context_management": "Nothing is left out of a conversation here.",
    "conversation": KEPT_NOWHERE,
    "moderation": "Nothing is moderated here.",
    "previous_response_id": KEPT_NOWHERE,
    "prompt": "No templates are kept here: send the text itself.",
}
"""They are refused by name, and why."""

OF_CHAT: Mapping[str, str] = {
    "function_call": "tool_choice",
    "functions": "tools",
    "logprobs": "top_logprobs",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""Fields of a chat that are called otherwise in a request for a response."""

ONLY_OF_CHAT: Mapping[str, str] = {
    "audio": "No model here speaks.",
    "modalities": "A response is text.",
    "n": "A request has one response.",
    "web_search_options": "No model here searches the web.",
}
"""Fields of a chat that a request for a response has not."""

NULL = b"null"
NOTHING = (NULL, b"false", b"[]")

MAX_NAME_CHARS = 64

_fields = msgspec.json.Decoder(dict[str, Raw])


def check(asked: ResponseRequest) -> None:
    """Raise `Unsupported` for the first field that asks for what there is not, `BadRequest` for what is out of bounds."""
    if any(len(name) > MAX_NAME_CHARS for name in asked.metadata or ()):
        raise BadRequest(f"metadata: A name has at most {MAX_NAME_CHARS} characters.", param="metadata")
    for name, why in REFUSED.items():
        field = getattr(asked, name)
        if is_given(field) and bytes(field) not in NOTHING:
            raise unsupported(name, why)
    if asked.truncation == "auto":
        raise unsupported("truncation", "Nothing is left out of a conversation here: what is too long is refused.")
    if asked.service_tier == "ultrafast":
        raise unsupported("service_tier", "There is no such tier here.")
    if asked.image is not None and asked.image.context_compression == "enabled":
        raise unsupported("image.context_compression", "Images go to the model as they are.")
    thinking = asked.reasoning
    if thinking is not None:
        if thinking.mode not in (None, "standard"):
            raise unsupported("reasoning.mode", "Models think in the standard way here.")
        if thinking.context == "all_turns":
            raise unsupported("reasoning.context", "What a model thought before earlier answers is not given to it.")


def further(body: bytes) -> dict[str, Raw]:
    """The fields that no response has: they go on to the model, whose server may know them. Raises `Unsupported` for those
    of a chat, and says what they are called here."""
    given = {name: value for name, value in decode(_fields, body).items() if bytes(value) != NULL}
    for name, why in ONLY_OF_CHAT.items():
        if name in given:
            raise unsupported(name, why)
    for name, ours in OF_CHAT.items():
        if name in given:
            raise unsupported(name, f"A request for a response calls this {ours}.")
    return {name: value for name, value in given.items() if name not in KNOWN}


def unsupported(param: str, why: str) -> Unsupported:
    """The refusal of a field by its name."""
    return Unsupported(f"{param}: {why}", param=param)


KNOWN = TRANSLATED | PASSED_OVER.keys() | REFUSED.keys()
"""Every field of a request for a response."""
