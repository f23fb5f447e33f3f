"""Reads a request for a response into the chat that the gateway is asked for."""

import msgspec
from msgspec import Raw

from hyperinfer.contracts.gateway import Infer
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.openai_responses import fields, items
from hyperinfer.edge.dialects.openai_responses.answers import asked_for
from hyperinfer.edge.dialects.openai_responses.chats import chat_of
from hyperinfer.edge.dialects.openai_responses.errors import reworded
from hyperinfer.edge.dialects.openai_responses.form import ResponseForm
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.request import RequestHead
from hyperinfer.protocol.typed_json import decode

_request = msgspec.json.Decoder(ResponseRequest)


def read(body: bytes, head: RequestHead) -> Wanted:
    """What a body asks for. Raises `BadRequest` and `Unsupported` naming the field."""
    further = fields.further(body)
    asked = decode(_request, body)
    fields.check(asked)
    conversation = items.read(asked)
    chat = chat_of(asked, conversation, further)
    noisy = asked.stream_options is not None and bool(asked.stream_options.include_obfuscation)
    return Wanted(
        request=Infer(body=Raw(chat), kind="chat", cache=head.wants_cache),
        streamed=bool(asked.stream),
        form=ResponseForm(asked_for(asked), noisy=noisy),
        reworded=reworded(conversation.origins),
    )
