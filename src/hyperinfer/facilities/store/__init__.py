"""The SQL store: an async SQLAlchemy engine with safe settings, and migrations that run at start."""

from hyperinfer.facilities.store.database import Database
from hyperinfer.facilities.store.engine import opened, url_of
from hyperinfer.facilities.store.migrate import migrate
from hyperinfer.facilities.store.types import UtcDateTime

__all__ = ["Database", "UtcDateTime", "migrate", "opened", "url_of"]
