"""The requests that a server is sent: as their senders wrote them, but for what is ours or the operator's to say. Pure.

Only the outermost object is taken apart: messages go on byte by byte.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from hyperinfer.contracts.openai import ChatRequest, CompletionRequest, EmbeddingRequest
from hyperinfer.errors import Unsupported
from hyperinfer.workers.inference.backends import Job
from hyperinfer.workers.inference.backends.openai.flavors import Flavor
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings

OURS = (
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "metadata",
    "store",
    "service_tier",
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "encoding_format",
    "echo",
)
"""Taken out: who asks is not the server's business, nothing is kept there for them, and the rest is said anew or is ours."""
REFUSED = frozenset(
    {
        "bootstrap_host",
        "bootstrap_port",
        "bootstrap_room",
        "chat_template",
        "custom_logit_processor",
        "data_parallel_rank",
        "id_slot",
        "kv_transfer_params",
        "lora_path",
        "n_predict",
        "priority",
        "request_id",
        "rid",
    }
)
"""What reaches into a server instead of asking it something: addresses it would connect to, code, other people's turns,
a length beside the one that is counted. vLLM's, SGLang's and llama.cpp's."""
REPEATING = "repeat_penalty"
"""Our name for what servers have different ones for."""
NULL = b"null"

_fields = msgspec.json.Decoder(dict[str, Raw])
_messages = msgspec.json.Decoder(list[dict[str, Raw]])
_encode = msgspec.json.Encoder().encode


class Bodies:
    """Writes requests for one server."""

    def __init__(self, settings: ServerSettings) -> None:
        self._parameters = settings.parameters
        self._drop = frozenset(settings.drop)

    def chat(self, job: Job[ChatRequest], own: str, flavor: Flavor) -> bytes:
        """A chat, streamed. `own` is the server's name of the model. Raises `Unsupported`."""
        fields = self._asked(job)
        request = job.request
        if request.limit_tokens is not None:
            fields[flavor.limit] = request.limit_tokens
        if job.so_far or (not flavor.has_developers and any(one.role == "developer" for one in request.messages)):
            fields["messages"] = _rewritten(fields["messages"], job.so_far, flavor)
        if job.so_far:
            fields |= flavor.continuing
        return self._streamed(fields, own, flavor)

    def text(self, job: Job[CompletionRequest], own: str, flavor: Flavor) -> bytes:
        """A text to be gone on with, streamed. Raises `Unsupported`."""
        fields = self._asked(job)
        fields["max_tokens"] = job.request.limit_tokens
        if job.so_far:
            fields["prompt"] = f"{job.request.prompt}{job.so_far}"
        return self._streamed(fields, own, flavor)

    def vectors(self, job: Job[EmbeddingRequest], own: str, flavor: Flavor) -> bytes:
        """Texts to embed. Raises `Unsupported`."""
        fields = self._asked(job)
        if flavor.packs:
            fields["encoding_format"] = "base64"
        return _encode({**fields, **self._parameters, "model": own})

    def _asked(self, job: Job[Any]) -> dict[str, Any]:
        fields: dict[str, Any] = dict(_fields.decode(job.body))
        for name in REFUSED & fields.keys() - self._drop:
            if bytes(fields[name]) != NULL:
                raise Unsupported(f"{name}: This is not a caller's to say.", param=name)
        for name in (*OURS, *REFUSED, *self._drop):
            fields.pop(name, None)
        return fields

    def _streamed(self, fields: Mapping[str, Any], own: str, flavor: Flavor) -> bytes:
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        named = {flavor.repeating if name == REPEATING else name: value for name, value in fields.items()}
        return _encode({**named, **flavor.always, **self._parameters, "model": own, **stream})


def _rewritten(messages: Raw, so_far: str, flavor: Flavor) -> list[dict[str, Any]]:
    """The messages with roles that the server knows, and with the answer so far as the last of them."""
    rewritten: list[dict[str, Any]] = [dict(message) for message in _messages.decode(messages)]
    if not flavor.has_developers:
        for message in rewritten:
            if bytes(message["role"]) == b'"developer"':
                message["role"] = "system"
    if not so_far:
        return rewritten
    last = rewritten[-1]
    if flavor.joins and bytes(last["role"]) == b'"assistant"':
        content = msgspec.json.decode(last.get("content", NULL))
        if isinstance(content, str):
            rewritten[-1] = {**last, "content": content + so_far}
            return rewritten
    return [*rewritten, {"role": "assistant", "content": so_far}]
