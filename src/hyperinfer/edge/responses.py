"""JSON answers, with field names as HTTP clients expect them: snake_case."""

from typing import Any

import msgspec
from starlette.responses import Response

from hyperinfer.contracts.gateway import Head
from hyperinfer.edge.errors import RawHeaders, limit_headers

_encoder = msgspec.json.Encoder()


def json_response(content: Any, status: int = 200) -> Response:
    """An answer of structs in snake_case, mappings and lists."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json")


def snake(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct of the contracts, whose wire names are camelCase, under its own field names."""
    return msgspec.structs.asdict(struct)


def head_headers(head: Head) -> RawHeaders:
    """Who answers, and what the limits leave."""
    headers = [(b"x-hyperinfer-worker", head.worker[:12].encode())]
    limits = head.rate_limit_info
    if limits is None or limits.max_requests is None or limits.remaining_requests is None:
        return headers
    return headers + limit_headers(limits.max_requests, limits.remaining_requests, limits.next_reset_in_seconds)
