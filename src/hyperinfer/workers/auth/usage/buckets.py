"""Rows of usage: which records make sense, what of them is logged, and what they add up to. Pure."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.workers.auth.audit.texts import harmless, is_id
from hyperinfer.workers.auth.usage.prices import Prices

SKEW = timedelta(minutes=5)
"""How far a gateway's clock may be ahead of ours."""
ERRORS = ("error", "timeout")
"""What counts as an error; a caller who hangs up is none."""
LONGEST_MS = 1e12

NAMESPACE = uuid.UUID("6d1b7c6e-6a0f-4a7e-9d0a-5f1d3c2b8e44")
"""Of the ids of rows of `usage_stats`; changing it would count the same day in two rows."""

SUMS = ("request_count", "error_count", "tokens_used", "prompt_tokens", "completion_tokens", "cost_nanos")


@dataclass(frozen=True, slots=True)
class Known:
    """Who is there: accounts by id, and whose each API key is."""

    users: frozenset[str]
    owners: Mapping[str, str]


def reason_against(record: UsageRecord, *, now: datetime, oldest: datetime) -> str | None:
    """Why a record makes no sense whoever it is of; `oldest` is since when requests can be told to be new."""
    if not is_id(record.id) or record.id != record.id.lower():
        return "The id is no UUID."
    if record.started_at.tzinfo is None:
        return "The time has no zone."
    if record.started_at > now + SKEW:
        return "It has not happened yet: the gateway's clock is ahead."
    if record.started_at < oldest:
        return "It is older than single requests are kept: whether it has been counted cannot be told any more."
    return None


def log_row(record: UsageRecord, known: Known, prices: Prices, *, gateway: str) -> dict[str, Any]:
    """The row of `request_logs`; who or what is gone is not named."""
    return {
        "id": record.id,
        "user_id": record.user_id if record.user_id in known.users else None,
        "api_key_id": record.api_key_id if record.api_key_id in known.owners else None,
        "prompt_hash": _text(record.prompt_hash, 64),
        "model_used": _text(record.model, 200),
        "response_time_ms": min(record.duration_ms, LONGEST_MS),
        "tokens_used": record.prompt_tokens + record.completion_tokens,
        "status": record.status,
        "created_at": record.started_at.astimezone(UTC),
        "kind": _text(record.kind, 20),
        "worker": _text(record.worker, 64),
        "gateway": gateway,
        "request_id": None if record.request_id is None else _text(record.request_id, 128),
        "error_code": None if record.error_code is None else _text(record.error_code, 40),
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "first_token_ms": None if record.first_token_ms is None else min(record.first_token_ms, LONGEST_MS),
        "estimated": record.estimated,
        "cost_nanos": prices.cost_nanos(
            record.model, prompt_tokens=record.prompt_tokens, completion_tokens=record.completion_tokens
        ),
    }


def summed(logs: Iterable[Mapping[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """What these rows of `request_logs` add to `usage_stats`, in the order of its ids."""
    buckets: dict[str, dict[str, Any]] = {}
    for log in logs:
        user_id, key_id, day = log["user_id"], log["api_key_id"], log["created_at"].date()
        id_ = str(uuid.uuid5(NAMESPACE, f"{user_id}/{key_id}/{day.isoformat()}"))
        bucket = buckets.get(id_)
        if bucket is None:
            whose = {"id": id_, "user_id": user_id, "api_key_id": key_id, "date": day, "created_at": now}
            bucket = buckets[id_] = {**whose, **dict.fromkeys(SUMS, 0)}
        bucket["request_count"] += 1
        bucket["error_count"] += log["status"] in ERRORS
        for name in SUMS[2:]:
            bucket[name] += log[name] or 0
    return [buckets[id_] for id_ in sorted(buckets)]


def last_used(logs: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """When each API key was last used, as far as these rows tell."""
    found: dict[str, datetime] = {}
    for log in logs:
        key_id, at = log["api_key_id"], log["created_at"]
        if key_id is not None and (key_id not in found or at > found[key_id]):
            found[key_id] = at
    return found


def _text(text: str, most: int) -> str:
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    return harmless(text, most)
