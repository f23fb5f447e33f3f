"""What a dialect is: an API whose requests are read into the gateway's own, and whose answers are written as its clients expect.

One route serves them all (`model_route`). OpenAI's chat, completions and embeddings are the dialect in which the swarm
itself speaks, so their bytes pass through; every other one is a translation to and from chat.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from hyperinfer.contracts.gateway import Infer, Inferred
from hyperinfer.edge.operations import Group
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import HyperinferError


class AnswerForm(Protocol):
    """How one answer is written. It belongs to one request and may keep what it has seen of the answer.

    A whole answer is asked for `whole` alone. Of a streamed one come the `chunks`, as the gateway has them, and then
    either `end` or `failed`; what these return is sent at once, nothing where it is empty.
    """

    @property
    def stream_type(self) -> bytes:
        """The media type of a streamed answer."""

    def whole(self, inferred: Inferred) -> bytes:
        """The body of a whole answer, as JSON. Raises `BackendFailed` for what is no answer of OpenAI's form."""

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """What follows in a stream from further chunks, each one raw JSON of OpenAI's form. Raises as `whole`."""

    def end(self) -> bytes:
        """What ends a stream that is whole. Raises `BackendFailed` where the chunks were none."""

    def failed(self, error: HyperinferError) -> bytes:
        """What ends a stream that broke off, and why it did."""


Reworded = Callable[[HyperinferError], HyperinferError]
"""Says an error about a field of OpenAI's by the name that the dialect has for it."""


def as_it_is(error: HyperinferError) -> HyperinferError:
    """For dialects whose names are OpenAI's."""
    return error


class Wanted(msgspec.Struct, frozen=True):
    """What one request comes to: what the gateway is asked, whether as a stream, how the answer is written, and how what
    the gateway refuses is said (`reworded`)."""

    request: Infer
    streamed: bool
    form: AnswerForm
    reworded: Reworded = as_it_is


class Named(msgspec.Struct, frozen=True):
    """What a request comes to that asks a model nothing: one of this name has to be there, and then `body` is the answer."""

    model: str
    body: bytes
    reworded: Reworded = as_it_is


Read = Callable[[bytes, RequestHead], Wanted]
"""Reads the body of one request. Raises `BadRequest` naming the field, as the dialect's clients know it."""
Reader = Callable[[bytes, RequestHead], Wanted | Named]
"""The same, of a route on which not everything is for a model."""

WriteError = Callable[[HyperinferError], bytes]
"""The body of a refusal, as JSON; its status is the same in every dialect."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API. `readers` are its routes to models, by path; `group` describes every route of it, those included, and serves
    the others. Without `error` it refuses in OpenAI's shape. `id_header` is a further header that tells its clients what a
    request is called."""

    group: Group
    readers: Mapping[str, Reader] = field(default_factory=dict)
    error: WriteError | None = None
    id_header: bytes = b""

    @property
    def paths(self) -> frozenset[str]:
        """Every path of it, but for those that it shares; `*` stands for a name at its end."""
        own = (re.sub(r"\{[^/]*\}$", "*", one.path) for one in self.group.operations if not one.when)
        return frozenset(own) | frozenset(self.readers)
