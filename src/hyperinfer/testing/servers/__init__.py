"""Real servers for tests and benchmarks: PostgreSQL and Redis, started from the machine's own binaries on loopback."""

from hyperinfer.testing.servers.postgres import PostgresServer
from hyperinfer.testing.servers.redis import RedisServer

__all__ = ["PostgresServer", "RedisServer"]
