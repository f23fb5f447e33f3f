"""Other gateways of the swarm: limits hold for all of them together only where they share a limiter."""

import asyncio
from contextlib import suppress

from hyperinfer.contracts.common import PING
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import HyperinferError, StartError
from hyperinfer.kernel.worker import Context
from hyperinfer.workers.gateway.config import GatewaySettings

ROLE = "gateway"
ASK_S = 3.0
"""How long another gateway may take to answer; one that does not is not running."""


def others(context: Context[GatewaySettings]) -> frozenset[bytes]:
    """Keys of the other gateways that are members, whether they run or not."""
    return context.members.with_role(ROLE) - {context.identity.public_key}


async def check_alone(context: Context[GatewaySettings]) -> None:
    """Raise `StartError` if another gateway of the swarm runs."""
    candidates = others(context)
    if not candidates:
        return
    found: list[bytes] = []
    with suppress(TimeoutError, HyperinferError):
        async with asyncio.timeout(ASK_S):
            found = await context.peers.find_now(context.swarm.topic(ROLE))
    running = await asyncio.gather(*(_runs(context, key) for key in candidates & set(found)))
    for key in filter(None, running):
        raise StartError(
            f"Another gateway of this swarm runs ({context.members.name(key)}), and the two share no limiter: every limit "
            "would count twice. Give both the same Redis with limits.redis_url, or say with limits.scope=gateway that "
            "limits count per gateway."
        )


async def _runs(context: Context[GatewaySettings], key: bytes) -> bytes | None:
    try:
        await context.peer(key).call(PING, Nothing(), timeout_s=ASK_S)
    except HyperinferError:
        return None
    return key
