"""Answers in JSON, and the headers that tell who answers, how long it took and what the limits leave."""

import re
from typing import Any

import msgspec
from starlette.responses import Response

from hyperinfer.contracts.gateway import Head
from hyperinfer.edge.errors import RawHeaders, limit_headers

PLAIN = re.compile(r"[\x21-\x7e]{1,200}")
"""Names that a header can hold as they are."""

_encoder = msgspec.json.Encoder()


def json_response(content: Any, status: int = 200) -> Response:
    """An answer of shapes, mappings and lists."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


def no_content() -> Response:
    """An answer that says only that it is done."""
    return Response(status_code=204)


def head_headers(head: Head) -> RawHeaders:
    """Who answers and by which model, how long it took to begin (`server-timing`, in milliseconds, as the W3C has it), and
    what the limits leave."""
    shown = head.worker[:12]
    headers = [(b"x-hyperinfer-worker", shown.encode())] if shown.isalnum() and shown.isascii() else []
    if PLAIN.fullmatch(head.model):
        headers.append((b"x-hyperinfer-model", head.model.encode()))
    if head.attempts > 1:
        headers.append((b"x-hyperinfer-attempts", b"%d" % head.attempts))
    if head.cache:
        headers.append((b"x-hyperinfer-cache", head.cache.encode()))
    if head.first_token_s:
        timing = b"queue;dur=%.1f, first-token;dur=%.1f" % (head.queued_s * 1000, head.first_token_s * 1000)
        headers.append((b"server-timing", timing))
    return headers if head.rate_limit_info is None else headers + limit_headers(head.rate_limit_info)
