"""The gateway's copy of the directory of credentials: in memory to authenticate by, on the disk to start from."""

from hyperinfer.workers.gateway.directory.copy import DirectoryCopy
from hyperinfer.workers.gateway.directory.follow import Follower, following

__all__ = ["DirectoryCopy", "Follower", "following"]
