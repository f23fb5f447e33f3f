"""The SQL store: an async SQLAlchemy engine with safe settings, and migrations that run at start."""

from hyperinfer.facilities.store.engine import opened
from hyperinfer.facilities.store.migrate import migrate
from hyperinfer.facilities.store.types import UtcDateTime

__all__ = ["UtcDateTime", "migrate", "opened"]
