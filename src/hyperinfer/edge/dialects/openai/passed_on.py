"""OpenAI's own requests to models, whose bytes go to the gateway and back as they are."""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from hyperinfer.contracts.gateway import Infer, Inferred
from hyperinfer.contracts.inference import Kind
from hyperinfer.edge.dialects import Read, Wanted
from hyperinfer.edge.errors import body_of
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import HyperinferError, Unsupported
from hyperinfer.protocol.typed_json import decode

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
KINDS: Mapping[str, Kind] = {CHAT: "chat", COMPLETIONS: "completion", EMBEDDINGS: "embedding"}
"""What is asked for on each path."""


class StreamWanted(msgspec.Struct, frozen=True):
    """All that the edge itself has to know of a request."""

    stream: bool | None = None


_wanted = msgspec.json.Decoder(StreamWanted)


class PassedOn:
    """Answers as they are: JSON, or server-sent events with OpenAI's end mark."""

    stream_type = b"text/event-stream; charset=utf-8"

    def whole(self, inferred: Inferred) -> bytes:
        """The completion."""
        return bytes(inferred.processed.completion)

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """An event for each."""
        return b"data: " + b"\n\ndata: ".join(chunks) + b"\n\n"

    def end(self) -> bytes:
        """OpenAI's end mark."""
        return b"data: [DONE]\n\n"

    def failed(self, error: HyperinferError) -> bytes:
        """An event that holds the error."""
        return b"data: " + body_of(error) + b"\n\n"


PASSED_ON = PassedOn()
"""It keeps nothing of an answer, so that one serves all."""


def _read(kind: Kind, body: bytes, head: RequestHead) -> Wanted:
    cache = head.wants_cache
    streamed = bool(decode(_wanted, body).stream)
    if streamed and kind == "embedding":
        raise Unsupported("Embeddings are not streamed.", param="stream")
    return Wanted(Infer(body=msgspec.Raw(body), kind=kind, cache=cache), streamed, PASSED_ON)


READERS: Mapping[str, Read] = {path: partial(_read, kind) for path, kind in KINDS.items()}
