"""The SQL store: SQLite or PostgreSQL behind an async SQLAlchemy engine, and migrations that run at start."""

from hyperinfer.facilities.store.database import Database
from hyperinfer.facilities.store.engine import file_of, opened, replica_url_of, url_of
from hyperinfer.facilities.store.migrate import migrate
from hyperinfer.facilities.store.types import UtcDateTime

__all__ = ["Database", "UtcDateTime", "file_of", "migrate", "opened", "replica_url_of", "url_of"]
