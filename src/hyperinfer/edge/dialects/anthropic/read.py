"""Reads a request for a message, and writes its answer, whole or as it comes."""

from collections.abc import Sequence

import msgspec

from hyperinfer.contracts.gateway import Infer, Inferred
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.anthropic import answers, chat, errors
from hyperinfer.edge.dialects.anthropic.conversation import told
from hyperinfer.edge.dialects.anthropic.events import Chunk, Events, written
from hyperinfer.edge.dialects.anthropic.requests import MessagesRequest, ThinkingAdaptive, ThinkingEnabled
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import BackendFailed, HyperinferError
from hyperinfer.protocol.typed_json import decode

BYTES_A_TOKEN = 4
"""How many bytes of a request stand for a token of its prompt, about."""

_request = msgspec.json.Decoder(MessagesRequest)
_chunk = msgspec.json.Decoder(Chunk)
_encoder = msgspec.json.Encoder()


class MessageForm:
    """One answer as a message."""

    stream_type = b"text/event-stream; charset=utf-8"

    def __init__(self, *, prompt_tokens: int, shows_thinking: bool, request_id: str) -> None:
        self._shows_thinking = shows_thinking
        self._request_id = request_id
        self._events = Events(prompt_tokens=prompt_tokens, shows_thinking=shows_thinking)

    def whole(self, inferred: Inferred) -> bytes:
        """The message."""
        completion = inferred.processed.completion
        return _encoder.encode(answers.message(completion, shows_thinking=self._shows_thinking))

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """The events that these come to."""
        try:
            read = [_chunk.decode(chunk) for chunk in chunks]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BackendFailed("The worker's answer is no chat completion.") from error
        return b"".join(written(event) for chunk in read for event in self._events.take(chunk))

    def end(self) -> bytes:
        """The last events."""
        return b"".join(map(written, self._events.end()))

    def failed(self, error: HyperinferError) -> bytes:
        """An event that says why."""
        return written(errors.reply_of(error, self._request_id))


def read(body: bytes, head: RequestHead) -> Wanted:
    """What a request for a message comes to."""
    asked = decode(_request, body)
    chat.check(asked)
    conversation = told(asked.system, asked.messages)
    written_out = chat.body(chat.chat(asked, conversation))
    request = Infer(
        body=written_out,
        cache=head.wants_cache,
        effort=chat.effort(asked),
        prefill=conversation.prefill,
    )
    form = MessageForm(
        prompt_tokens=-(-(len(bytes(written_out)) - conversation.image_chars) // BYTES_A_TOKEN),
        shows_thinking=not (
            isinstance(asked.thinking, ThinkingEnabled | ThinkingAdaptive) and asked.thinking.display == "omitted"
        ),
        request_id=head.request_id,
    )
    return Wanted(request, bool(asked.stream), form, errors.reworded(conversation.places))
