"""Which carrier an address takes; what it is made of is loaded when it is chosen."""

from collections.abc import Callable

from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.sdk.carriers import Carrier
from hyperinfer.sdk.requests import is_link

CONNECT_TIMEOUT_S = 10.0
REACH_TIMEOUT_S = 30.0
"""How long a gateway may take to be found and reached through the routers of both sides."""


def carrier_to(
    address: str, *, connect_timeout_s: float | None, net: NetSettings | None, say: Callable[[str], None]
) -> Carrier:
    """The carrier to a gateway at an address of either kind. The time left out is what is usual for it."""
    if is_link(address):
        from hyperinfer.sdk.carriers.swarm import Swarm

        return Swarm(
            address, wait_s=REACH_TIMEOUT_S if connect_timeout_s is None else connect_timeout_s, settings=net, say=say
        )
    from hyperinfer.sdk.carriers.http import Http

    return Http(address, connect_timeout_s=CONNECT_TIMEOUT_S if connect_timeout_s is None else connect_timeout_s)
