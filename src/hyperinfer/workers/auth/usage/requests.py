"""Single requests of the log, page by page."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Uuid, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts.usage import RequestQuery, RequestRow, Requests
from hyperinfer.errors import BadRequest
from hyperinfer.facilities.store import UtcDateTime
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.models import ApiKeyRow, RequestLog, User
from hyperinfer.workers.auth.shown import text_of
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.prices import Prices
from hyperinfer.workers.auth.usage.ranges import check_days, end_of, start_of
from hyperinfer.workers.auth.usage.reach import Reach

CURSOR = re.compile(r"(?P<micros>[0-9]{1,17})\.(?P<id>[0-9a-f]{32})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class RequestPages:
    """Pages of single requests, newest first. Reads only, and so may be given a replica.

    Raises `Unavailable`, and `BadRequest` for a range or a cursor that makes no sense.
    """

    def __init__(self, database: Readable, *, settings: UsageSettings) -> None:
        self._database = database
        self._prices = Prices(settings)

    async def of(self, query: RequestQuery, reach: Reach) -> Requests:
        """Requests within reach, whatever ids the query names."""
        async with self._database.read() as session:
            return await self._page(session, query, reach)

    async def _page(self, session: AsyncSession, query: RequestQuery, reach: Reach) -> Requests:
        """A cursor stays good while requests are added and old ones removed."""
        wanted = _filtered(query)
        asked = Reach(user_id=query.user_id, key_id=query.api_key_id)
        if not (reach.is_possible and asked.is_possible):
            return Requests()
        for narrowed in (reach, asked):
            wanted = wanted.where(*narrowed.conditions(RequestLog.user_id, RequestLog.api_key_id))
        ordered = wanted.order_by(RequestLog.created_at.desc(), RequestLog.id.desc())
        found = (await session.execute(ordered.limit(query.limit + 1))).all()
        page = found[: query.limit]
        return Requests(
            requests=tuple(self._row(log, username, key_name) for log, username, key_name in page),
            next=_cursor_after(page[-1][0]) if len(found) > len(page) else None,
        )

    def _row(self, log: RequestLog, username: str | None, key_name: str | None) -> RequestRow:
        return RequestRow(
            id=log.id,
            user_id=log.user_id,
            api_key_id=log.api_key_id,
            created_at=text_of(log.created_at),
            model=log.model_used,
            status=log.status,
            error_code=log.error_code,
            prompt_tokens=log.prompt_tokens,
            completion_tokens=log.completion_tokens,
            first_token_ms=log.first_token_ms,
            response_time_ms=log.response_time_ms,
            worker=log.worker,
            request_id=log.request_id,
            prompt_hash=log.prompt_hash,
            estimated=log.estimated,
            cost=self._prices.shown(log.cost_nanos),
            username=username,
            key_name=key_name,
        )


def _filtered(query: RequestQuery) -> Select[RequestLog, str | None, str | None]:
    check_days(query.since, query.until)
    wanted = (
        select(RequestLog, User.username, ApiKeyRow.name)
        .outerjoin(User, User.id == RequestLog.user_id)
        .outerjoin(ApiKeyRow, ApiKeyRow.id == RequestLog.api_key_id)
    )
    if query.since is not None:
        wanted = wanted.where(RequestLog.created_at >= start_of(query.since))
    if query.until is not None:
        wanted = wanted.where(RequestLog.created_at < end_of(query.until))
    if query.status is not None:
        wanted = wanted.where(RequestLog.status == query.status)
    if query.model is not None:
        wanted = wanted.where(RequestLog.model_used == query.model)
    if query.cursor is not None:
        wanted = wanted.where(tuple_(RequestLog.created_at, RequestLog.id) < tuple_(*_place_of(query.cursor)))
    return wanted


def _cursor_after(log: RequestLog) -> str:
    return f"{(log.created_at - EPOCH) // MICROSECOND}.{uuid.UUID(log.id).hex}"


def _place_of(cursor: str) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The time and the id of the last request of the page before."""
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise BadRequest("This cursor is not one that a page of requests gave.", param="cursor")
    moment = EPOCH + int(found["micros"]) * MICROSECOND
    return literal(moment, UtcDateTime()), literal(str(uuid.UUID(found["id"])), Uuid(as_uuid=False))
