"""Alembic's entry: migrations run on the connection that they are given."""

from alembic import context

from hyperinfer.workers.auth.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by writing it anew
)
with context.begin_transaction():
    context.run_migrations()
