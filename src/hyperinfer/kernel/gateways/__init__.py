"""A gateway as somebody outside its process reaches it: found, held against what is known of it, and waited for while it is
away."""

from hyperinfer.kernel.gateways.linked import LinkedGateway
from hyperinfer.kernel.gateways.search import OwnSwarm, Place

__all__ = ["LinkedGateway", "OwnSwarm", "Place"]
