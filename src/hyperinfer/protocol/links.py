"""Links: how somebody outside names a gateway, or a swarm whose gateways then prove themselves. Pure.

`hyper://GATEWAYKEY` pins one gateway. `hyper://swarm/SWARMKEY/ROOTKEY` finds any: the swarm key gives the topic, and the root
key is what a gateway's introduction is held against. Keys are 32 bytes in hexadecimal; none is a credential.
"""

import re
from dataclasses import dataclass

from hyperinfer.errors import BadRequest

SCHEME = "hyper://"

_KEY = r"([0-9a-f]{64})"
_GATEWAY = re.compile(SCHEME + _KEY)
_SWARM = re.compile(rf"{SCHEME}swarm/{_KEY}/{_KEY}")


@dataclass(frozen=True, slots=True)
class GatewayLink:
    """One gateway by its public key, which the handshake proves."""

    key: bytes

    def __str__(self) -> str:
        return f"{SCHEME}{self.key.hex()}"


@dataclass(frozen=True, slots=True)
class SwarmLink:
    """Any gateway of a swarm, by the swarm key and the root public key."""

    swarm_key: bytes
    root_key: bytes

    def __str__(self) -> str:
        return f"{SCHEME}swarm/{self.swarm_key.hex()}/{self.root_key.hex()}"


def parse(text: str) -> GatewayLink | SwarmLink:
    """The link that a text is; capital letters and spaces round it do not matter. Raises `BadRequest`."""
    link = text.strip().lower()
    if found := _GATEWAY.fullmatch(link):
        return GatewayLink(bytes.fromhex(found[1]))
    if found := _SWARM.fullmatch(link):
        return SwarmLink(bytes.fromhex(found[1]), bytes.fromhex(found[2]))
    raise BadRequest(
        "A link is hyper://GATEWAYKEY or hyper://swarm/SWARMKEY/ROOTKEY, as `hyperinfer link` prints it.", param="link"
    )
