"""Tables of the accounts' database. A change here needs a migration; a test holds the two together."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hyperinfer.facilities.store import UtcDateTime


class Base(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData()


# --- people ----------------------------------------------------------------------------------------------------


class User(Base):
    """A person's account. `role` is `user` or `admin`; `limits` are an administrator's, laid over the tier's."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    username: Mapped[str] = mapped_column(String(50), unique=True)
    email: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    tier: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    is_active: Mapped[bool]
    limits: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class ApiKeyRow(Base):
    """An API key: its public id, and the SHA-256 of the whole in hexadecimal."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    public_id: Mapped[str] = mapped_column(String(8), unique=True)
    key_hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    is_active: Mapped[bool]
    scopes: Mapped[list[str]] = mapped_column(JSON)
    models: Mapped[list[str]] = mapped_column(JSON)
    limits: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class SessionRow(Base):
    """A session that was opened by logging in; `id` is the token's `jti`."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    agent: Mapped[str] = mapped_column(String(200))
    remote: Mapped[str] = mapped_column(String(64))


class SigningKeyRow(Base):
    """The public half of a key that signs session tokens, in hexadecimal; the seed is a file outside the database.

    The one that signs now is the one that has not been retired. A retired one is shown to gateways until the last
    token that it signed has expired.
    """

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    public_key: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class PersonInviteRow(Base):
    """A code with which somebody may register once; what is kept of it is its SHA-256 in hexadecimal."""

    __tablename__ = "person_invites"

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str | None] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(20))
    tier: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime())
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class PasswordReset(Base):
    """A token with which a password may be set once; what is kept of it is its SHA-256 in hexadecimal."""

    __tablename__ = "password_resets"

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime())
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


# --- what gateways are told, and the order of all changes --------------------------------------------------------


class Heads(Base):
    """The one row that every change locks first, so that changes have one order: the number of the newest change of
    the directory, and number and link of the newest row of the audit log."""

    __tablename__ = "heads"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    directory_id: Mapped[str] = mapped_column(String(32))
    directory_seq: Mapped[int] = mapped_column(BigInteger)
    audit_seq: Mapped[int] = mapped_column(BigInteger)
    audit_link: Mapped[str] = mapped_column(String(64))


class DirectoryRow(Base):
    """The newest state of one record of the directory, as JSON; without `record` it is gone."""

    __tablename__ = "directory"

    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, index=True)
    record: Mapped[str | None] = mapped_column(Text)


# --- usage -------------------------------------------------------------------------------------------------------


class UsageStats(Base):
    """What a person has used with a key in a day (UTC). Person and key are null once they are gone, and the key for
    what was asked under a session. `id` is made of the three (`usage/buckets.py`), so that there is one row of each
    though a null equals no other. `cost_nanos` is in billionths of the configured currency."""

    __tablename__ = "usage_stats"
    __table_args__ = (UniqueConstraint("user_id", "api_key_id", "date", name="uq_usage_stats_user_key_date"),)

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    api_key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"), index=True)
    date: Mapped[date] = mapped_column(Date, index=True)
    request_count: Mapped[int] = mapped_column(BigInteger)
    error_count: Mapped[int] = mapped_column(BigInteger)
    tokens_used: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nanos: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class RequestLog(Base):
    """One request; `id` is the usage id that its gateway minted, `gateway` and `worker` are public keys in hex."""

    __tablename__ = "request_logs"
    __table_args__ = (Index("ix_request_logs_user_id_created_at", "user_id", "created_at"),)

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    api_key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"), index=True)
    prompt_hash: Mapped[str] = mapped_column(String(64))
    model_used: Mapped[str] = mapped_column(String(200))
    response_time_ms: Mapped[float]
    tokens_used: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    worker: Mapped[str] = mapped_column(String(64))
    gateway: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(128))
    error_code: Mapped[str | None] = mapped_column(String(40))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    first_token_ms: Mapped[float | None]
    estimated: Mapped[bool]
    cost_nanos: Mapped[int | None] = mapped_column(BigInteger)


# --- audit -------------------------------------------------------------------------------------------------------


class AuditLogRow(Base):
    """One operation, chained: `link` is an HMAC over this row and the link of the row before it."""

    __tablename__ = "audit_log"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    action: Mapped[str] = mapped_column(String(50), index=True)
    outcome: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str | None] = mapped_column(String(32), index=True)
    target: Mapped[str | None] = mapped_column(String(32), index=True)
    remote: Mapped[str] = mapped_column(String(64))
    gateway: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(128))
    details: Mapped[str] = mapped_column(Text)
    link: Mapped[str] = mapped_column(String(64))


class AuditSubject(Base):
    """The random name of an account in the audit log; erased with the account, so that nothing there names anybody."""

    __tablename__ = "audit_subjects"

    subject: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
