"""Where a report's figures come from: sums by day, which are kept without end, or single requests, which know more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, case, func, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from hyperinfer.contracts.usage import UsageQuery
from hyperinfer.workers.auth.models import RequestLog, UsageStats
from hyperinfer.workers.auth.usage.buckets import ERRORS
from hyperinfer.workers.auth.usage.ranges import end_of, start_of

Column = InstrumentedAttribute[str | None]


@dataclass(frozen=True, slots=True)
class Source:
    """A table: the columns that it can be grouped by, its sums (requests, errors, tokens of prompts and of completions,
    cost), what its rows of a range of days fulfil, and whose they are."""

    groups: Mapping[str, Any]
    sums: tuple[ColumnElement[Any], ...]
    within: Callable[[date, date], list[ColumnElement[bool]]]
    user: Column
    key: Column

    @staticmethod
    def of_model(model: str | None) -> list[ColumnElement[bool]]:
        """What requests to a model fulfil; sums by day are not asked for one."""
        return [] if model is None else [RequestLog.model_used == model]


def source_for(query: UsageQuery, *, dialect: str) -> Source:
    """The source that can answer a query."""
    if query.model is None and query.group in DAYS.groups:
        return DAYS
    return REQUESTS_ON_POSTGRESQL if dialect == "postgresql" else REQUESTS_ON_SQLITE


DAYS = Source(
    groups={"day": UsageStats.date, "key": UsageStats.api_key_id, "user": UsageStats.user_id},
    sums=(
        func.sum(UsageStats.request_count),
        func.sum(UsageStats.error_count),
        func.sum(UsageStats.prompt_tokens),
        func.sum(UsageStats.completion_tokens),
        func.sum(UsageStats.cost_nanos),
    ),
    within=lambda since, until: [UsageStats.date >= since, UsageStats.date <= until],
    user=UsageStats.user_id,
    key=UsageStats.api_key_id,
)


def _requests(day: ColumnElement[Any]) -> Source:
    return Source(
        groups={
            "day": type_coerce(day, Date),
            "key": RequestLog.api_key_id,
            "user": RequestLog.user_id,
            "model": RequestLog.model_used,
            "status": RequestLog.status,
        },
        sums=(
            func.count(),
            func.sum(case((RequestLog.status.in_(ERRORS), 1), else_=0)),
            func.sum(RequestLog.prompt_tokens),
            func.sum(RequestLog.completion_tokens),
            func.sum(RequestLog.cost_nanos),
        ),
        within=lambda since, until: [
            RequestLog.created_at >= start_of(since),
            RequestLog.created_at < end_of(until),
        ],
        user=RequestLog.user_id,
        key=RequestLog.api_key_id,
    )


REQUESTS_ON_SQLITE = _requests(func.date(RequestLog.created_at))
"""Times are kept in UTC there."""
REQUESTS_ON_POSTGRESQL = _requests(func.date(func.timezone("UTC", RequestLog.created_at)))
