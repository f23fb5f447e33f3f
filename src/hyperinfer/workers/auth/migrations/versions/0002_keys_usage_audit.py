"""Sessions, invitations, password resets, the directory of credentials, usage and the audit log."""

import json
import secrets

import sqlalchemy as sa
from alembic import op

from hyperinfer.facilities.store import UtcDateTime

revision = "0002"
down_revision = "0001"

UUID = sa.Uuid(as_uuid=False)
FIRST_SCOPES = ("inference", "usage", "account")
"""What the keys of before were able to do."""


def upgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("limits", sa.JSON(), nullable=True))
        users.add_column(sa.Column("last_login_at", UtcDateTime(), nullable=True))
    scopes = sa.text(f"'{json.dumps(FIRST_SCOPES)}'")
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("scopes", sa.JSON(), nullable=False, server_default=scopes))
        keys.add_column(sa.Column("models", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
        keys.add_column(sa.Column("limits", sa.JSON(), nullable=True))
    with op.batch_alter_table("api_keys") as keys:
        keys.alter_column("scopes", server_default=None)
        keys.alter_column("models", server_default=None)
    _people()
    _directory()
    _usage()
    _audit()


def _people() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user_id", UUID, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False, index=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("remote", sa.String(64), nullable=False),
    )
    op.create_table(
        "person_invites",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("email", sa.String(100), nullable=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("tier", sa.String(50), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "password_resets",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("user_id", UUID, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
    )


def _directory() -> None:
    heads = op.create_table(
        "heads",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("directory_id", sa.String(32), nullable=False),
        sa.Column("directory_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_link", sa.String(64), nullable=False),
    )
    op.bulk_insert(
        heads,
        [{"id": 1, "directory_id": secrets.token_hex(16), "directory_seq": 0, "audit_seq": 0, "audit_link": ""}],
    )
    op.create_table(
        "directory",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False, index=True),
        sa.Column("record", sa.Text(), nullable=True),
    )


def _usage() -> None:
    op.create_table(
        "usage_stats",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("user_id", UUID, sa.ForeignKey("users.id", ondelete="SET NULL"), nullable=True),
        sa.Column("api_key_id", UUID, sa.ForeignKey("api_keys.id", ondelete="SET NULL"), nullable=True, index=True),
        sa.Column("date", sa.Date(), nullable=False, index=True),
        sa.Column("request_count", sa.BigInteger(), nullable=False),
        sa.Column("error_count", sa.BigInteger(), nullable=False),
        sa.Column("tokens_used", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("user_id", "api_key_id", "date", name="uq_usage_stats_user_key_date"),
    )
    op.create_table(
        "request_logs",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("user_id", UUID, sa.ForeignKey("users.id", ondelete="SET NULL"), nullable=True),
        sa.Column("api_key_id", UUID, sa.ForeignKey("api_keys.id", ondelete="SET NULL"), nullable=True, index=True),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("model_used", sa.String(200), nullable=False),
        sa.Column("response_time_ms", sa.Double(), nullable=False),
        sa.Column("tokens_used", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("worker", sa.String(64), nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("error_code", sa.String(40), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("first_token_ms", sa.Double(), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=True),
        sa.Index("ix_request_logs_user_id_created_at", "user_id", "created_at"),
    )


def _audit() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime(), nullable=False, index=True),
        sa.Column("action", sa.String(50), nullable=False, index=True),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(32), nullable=True, index=True),
        sa.Column("target", sa.String(32), nullable=True, index=True),
        sa.Column("remote", sa.String(64), nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("link", sa.String(64), nullable=False),
    )
    op.create_table(
        "audit_subjects",
        sa.Column("subject", sa.String(32), primary_key=True),
        sa.Column("user_id", UUID, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True),
    )
