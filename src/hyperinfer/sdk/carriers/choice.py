"""Which carrier an address takes; what it is made of is loaded when it is chosen."""

from collections.abc import Callable

from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.sdk.carriers import Carrier
from hyperinfer.sdk.requests import is_link


def carrier_to(
    address: str, *, connect_timeout_s: float, net: NetSettings | None, say: Callable[[str], None]
) -> Carrier:
    """The carrier to a gateway at an address of either kind."""
    if is_link(address):
        from hyperinfer.sdk.carriers.swarm import Swarm

        return Swarm(address, wait_s=connect_timeout_s, settings=net, say=say)
    from hyperinfer.sdk.carriers.http import Http

    return Http(address, connect_timeout_s=connect_timeout_s)
