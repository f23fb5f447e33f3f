"""Whatever a body holds, shaped like a dialect's requests or nearly: it is read, or refused by an error of ours."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec import inspect

from hyperinfer.contracts.openai import ChatRequest
from hyperinfer.edge.app import DIALECTS
from hyperinfer.edge.dialects import Wanted
from hyperinfer.edge.dialects.anthropic.requests import MessagesRequest
from hyperinfer.edge.dialects.ollama.requests import OllamaChat, OllamaEmbed, OllamaGenerate
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import HyperinferError

KINDS: Mapping[str, type[Any]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/messages": MessagesRequest,
    "/v1/responses": ResponseRequest,
    "/api/chat": OllamaChat,
    "/api/generate": OllamaGenerate,
    "/api/embed": OllamaEmbed,
}
READERS = {path: read for dialect in DIALECTS for path, read in dialect.readers.items()}
HEAD = RequestHead(host="h", origin=None, content_length=None, key="k", request_id="r", remote=None)

TEXTS = some.sampled_from(
    ["", "a", "user", "json", "\u2028", "{}", "iVBORw0KGgoAAAAN", "data:image/png;base64,AA==", "🙂"]
)
NUMBERS = some.sampled_from([0, 1, -1, 0.5, 2, 10**30, 2**63, 1e300])
ANYTHING = some.recursive(
    some.none() | some.booleans() | NUMBERS | TEXTS,
    lambda inner: some.lists(inner, max_size=2) | some.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
BROKEN = (b"", b"\xff", b"\xed\xa0\x80")
"""What takes the place of a letter: nothing, or bytes that are no UTF-8."""


def shaped(kind: inspect.Type, depth: int = 0) -> some.SearchStrategy[Any]:
    """JSON that is of this type, as far as its shape goes; its bounds are not kept."""
    if depth > 7:
        return ANYTHING
    match kind:
        case inspect.Metadata(type=inner):
            return shaped(inner, depth)
        case inspect.UnionType(types=types):
            return some.deferred(lambda: some.one_of([shaped(one, depth) for one in types]))
        case inspect.LiteralType(values=values):
            return some.sampled_from(values)
        case inspect.StrType():
            return TEXTS
        case inspect.IntType() | inspect.FloatType():
            return NUMBERS
        case inspect.BoolType():
            return some.booleans()
        case inspect.NoneType():
            return some.none()
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return some.deferred(lambda: some.lists(shaped(item, depth + 1), max_size=3))
        case inspect.StructType():
            return some.deferred(lambda: _struct(kind, depth))
        case _:
            return ANYTHING


def _struct(kind: inspect.StructType, depth: int) -> some.SearchStrategy[Any]:
    tag = {kind.tag_field: some.just(kind.tag)} if kind.tag_field else {}
    fields = {field.encode_name: (shaped(field.type, depth + 1), field.required) for field in kind.fields}
    return some.fixed_dictionaries(
        tag | {name: value for name, (value, needed) in fields.items() if needed},
        optional={name: value for name, (value, needed) in fields.items() if not needed},
    )


SHAPED = {path: shaped(inspect.type_info(kind)) for path, kind in KINDS.items()}


@pytest.mark.parametrize("path", KINDS)
@given(chosen=some.data())
@settings(max_examples=100, deadline=None)
def test_it_is_read_or_refused(path: str, chosen: some.DataObject) -> None:
    body = json.dumps(chosen.draw(SHAPED[path]), ensure_ascii=False).encode()
    if chosen.draw(some.integers(0, 4)) == 0:
        body = body.replace(b'"a"', b'"%b"' % chosen.draw(some.sampled_from(BROKEN)))
    try:
        wanted = READERS[path](body, HEAD)
    except HyperinferError:
        return
    assert not isinstance(wanted, Wanted) or isinstance(wanted.request.body, msgspec.Raw)
