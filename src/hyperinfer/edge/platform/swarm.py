"""What the swarm has: its models, its workers, and the keys that verify its session tokens."""

from starlette.responses import Response

from hyperinfer.contracts import gateway
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.operations import Asked, Group, Operation, passing_on
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import reply_shape, shown

KEYS_MAX_AGE_S = 300
"""How long the verifying keys may be kept; a new one is published longer than that before it signs."""


async def jwks(asked: Asked) -> Response:
    """The public keys; they may be cached."""
    keys = await asked.call(gateway.GET_JWKS, Nothing())
    response = json_response(shown(keys))
    response.headers["cache-control"] = f"public, max-age={KEYS_MAX_AGE_S}"
    return response


GROUP = Group(
    "Swarm",
    (
        passing_on("GET", "/api/models", gateway.LIST_MODELS, "The models that answer now, and how busy they are"),
        passing_on("GET", "/api/workers", gateway.LIST_WORKERS, "The inference workers that the gateway knows"),
        Operation(
            verb="GET",
            path="/.well-known/jwks.json",
            summary="The public keys that verify session tokens (RFC 7517)",
            access=gateway.GET_JWKS.access,
            answer=jwks,
            replies=(reply_shape(gateway.GET_JWKS.reply),),
        ),
    ),
)
