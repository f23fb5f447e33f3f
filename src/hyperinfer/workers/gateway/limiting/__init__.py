"""Limits of people and keys: counted in memory, or in a Redis that several gateways share."""

from hyperinfer.workers.gateway.limiting.config import LimiterSettings
from hyperinfer.workers.gateway.limiting.memory import MemoryLimiter
from hyperinfer.workers.gateway.limiting.opened import limiting
from hyperinfer.workers.gateway.limiting.port import Admission, Keep, Limiter

__all__ = ["Admission", "Keep", "Limiter", "LimiterSettings", "MemoryLimiter", "limiting"]
