"""Answers in JSON, and the headers that tell who answers and what the limits leave."""

from typing import Any

import msgspec
from starlette.responses import Response

from hyperinfer.contracts.gateway import Head
from hyperinfer.edge.errors import RawHeaders, limit_headers

_encoder = msgspec.json.Encoder()


def json_response(content: Any, status: int = 200) -> Response:
    """An answer of shapes, mappings and lists."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


def no_content() -> Response:
    """An answer that says only that it is done."""
    return Response(status_code=204)


def head_headers(head: Head) -> RawHeaders:
    """Who answers, and what the limits leave."""
    shown = head.worker[:12]
    headers = [(b"x-hyperinfer-worker", shown.encode())] if shown.isalnum() and shown.isascii() else []
    return headers if head.rate_limit_info is None else headers + limit_headers(head.rate_limit_info)
