"""Reads a request for a response into the chat that the gateway is asked for."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from hyperinfer.contracts.gateway import Infer
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.openai_responses import fields, items
from hyperinfer.edge.dialects.openai_responses.answers import asked_for
from hyperinfer.edge.dialects.openai_responses.chats import chat_of
from hyperinfer.edge.dialects.openai_responses.errors import reworded
from hyperinfer.edge.dialects.openai_responses.form import ResponseForm
from hyperinfer.edge.dialects.openai_responses.items import Conversation
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.request import RequestHead
from hyperinfer.protocol.typed_json import decode

NO_FIELDS: Mapping[str, Raw] = {}

_request = msgspec.json.Decoder(ResponseRequest)


def read(body: bytes, head: RequestHead) -> Wanted:
    """What a body asks for. Raises `BadRequest` and `Unsupported` naming the field."""
    further = fields.further(body)
    asked = decode(_request, body)
    chat, conversation = chat_in(asked, further)
    noisy = asked.stream_options is not None and bool(asked.stream_options.include_obfuscation)
    return Wanted(
        request=Infer(body=Raw(chat), kind="chat", cache=head.wants_cache),
        streamed=bool(asked.stream),
        form=ResponseForm(asked_for(asked), noisy=noisy),
        reworded=reworded(conversation.origins),
    )


def chat_in(asked: ResponseRequest, further: Mapping[str, Raw] = NO_FIELDS) -> tuple[bytes, Conversation]:
    """The chat that a request comes to, and where its messages come from. Raises as `read`."""
    fields.check(asked)
    conversation = items.read(asked)
    return chat_of(asked, conversation, further), conversation
