"""The Redis facility: a connection that says early that it is gone, and calls that go out together."""

from hyperinfer.facilities.redis.calls import Calls
from hyperinfer.facilities.redis.connect import connect

__all__ = ["Calls", "connect"]
