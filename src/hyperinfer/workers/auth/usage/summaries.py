"""What the metrics worker makes its reports of: everything about some days, out of one view of the database."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, desc, distinct, func, nulls_first, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from hyperinfer.contracts import reports as contract
from hyperinfer.contracts.reports import Cell, Failure, Hour, Percentiles, Share, Sums, SumUsage, UsageSummary
from hyperinfer.errors import BadRequest
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.api_keys import PREFIX
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.models import ApiKeyRow, RequestLog, UsageStats, User
from hyperinfer.workers.auth.usage.buckets import ERRORS
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.prices import Prices
from hyperinfer.workers.auth.usage.ranges import check_days
from hyperinfer.workers.auth.usage.reports import GONE, NO_KEY
from hyperinfer.workers.auth.usage.sources import DAYS, REQUESTS_ON_POSTGRESQL, REQUESTS_ON_SQLITE, Source

HOURS = {
    "sqlite": func.strftime("%H", RequestLog.created_at),
    "postgresql": func.to_char(func.timezone("UTC", RequestLog.created_at), "HH24"),
}
"""The hour of a request in UTC, in two digits."""
RANKS = (0.50, 0.95, 0.99)
NAMES_AT_ONCE = 500
"""Ids that are looked up in one query: databases bound what one may hold."""


class Summaries:
    """Summaries of usage. Reads only, and so may be given a replica. Raises `Unavailable`, `BadRequest`."""

    def __init__(self, database: Readable, *, clock: Clock, settings: UsageSettings) -> None:
        self._database = database
        self._clock = clock
        self._prices = Prices(settings)
        self._keep = timedelta(days=settings.keep_request_logs_days)

    async def of(self, wanted: SumUsage) -> UsageSummary:
        """Everything about these days."""
        since, until = wanted.since, wanted.until
        check_days(since, until)
        days = (until - since).days + 1
        if days > contract.MAX_DAYS:
            raise BadRequest(f"A report is about {contract.MAX_DAYS} days at most.", param="since")
        oldest = (self._clock.now() - self._keep).date()
        async with self._database.read() as rows:
            dialect = rows.get_bind().dialect.name
            source = REQUESTS_ON_POSTGRESQL if dialect == "postgresql" else REQUESTS_ON_SQLITE
            view = _View(rows, self._prices, since, until, source)
            total = await view.total(since, until)
            by_key = await view.shares(DAYS, DAYS.groups["key"], total)
            by_user = await view.shares(DAYS, DAYS.groups["user"], total)
            requested = await view.total(since, until, source)
            cells = await view.cells()
            users = await _usernames(rows, [one.key for one in by_user], [cell.user_id for cell in cells])
            keys = await _key_names(rows, [one.key for one in by_key], [cell.key_id for cell in cells])
            return UsageSummary(
                since=since,
                until=until,
                total=total,
                before=await view.total(since - timedelta(days=days), since - timedelta(days=1)),
                people=await view.people(),
                days=await view.shares(DAYS, DAYS.groups["day"], total),
                models=await view.shares(source, source.groups["model"], requested),
                users=_labelled(by_user, users, GONE),
                keys=_labelled(by_key, keys, NO_KEY),
                workers=await view.shares(source, RequestLog.worker, requested),
                hours=await view.hours(HOURS[dialect]),
                statuses=await view.statuses(),
                failures=await view.failures(),
                response_ms=await view.percentiles(RequestLog.response_time_ms),
                first_token_ms=await view.percentiles(RequestLog.first_token_ms),
                details_since=oldest if oldest > since else None,
                currency=self._prices.currency,
                cells=cells,
                usernames=users,
                key_names=keys,
            )


class _View:
    """Questions about some days to one view of the database."""

    def __init__(self, rows: AsyncSession, prices: Prices, since: date, until: date, requests: Source) -> None:
        self._rows = rows
        self._prices = prices
        self._since = since
        self._until = until
        self._requests = requests

    async def total(self, since: date, until: date, source: Source = DAYS) -> Sums:
        """Sums over all."""
        return self._sums((await self._rows.execute(select(*source.sums).where(*source.within(since, until)))).one())

    async def shares(
        self, source: Source, group: ColumnElement[Any] | InstrumentedAttribute[Any], total: Sums
    ) -> tuple[Share, ...]:
        """Sums by a group, the most tokens first, and what is left of the total."""
        found = await self._rows.execute(
            self._within(select(group, *source.sums), source)
            .group_by(group)
            .order_by(desc(source.sums[2] + source.sums[3]), nulls_first(group))
            .limit(contract.MAX_SHARES + 1)
        )
        rows = [Share(key=_key(row[0]), label=_key(row[0]), sums=self._sums(row[1:])) for row in found]
        if len(rows) > contract.MAX_SHARES:
            del rows[contract.MAX_SHARES :]
            rest = _without(total, [row.sums for row in rows])
            rows.append(Share(key=contract.OTHER, label=contract.OTHER, sums=rest))
        return tuple(rows)

    async def cells(self) -> tuple[Cell, ...]:
        """The finest sums: of each day, person, key and model; those with the most tokens, by day."""
        day, source = self._requests.groups["day"], self._requests
        by = (day, RequestLog.user_id, RequestLog.api_key_id, RequestLog.model_used)
        tokens = desc(source.sums[2] + source.sums[3])
        wanted = self._within(select(*by, *source.sums), source).group_by(*by)
        found = await self._rows.execute(wanted.order_by(tokens, *map(nulls_first, by)).limit(contract.MAX_CELLS))
        cells = [
            Cell(day=row[0], user_id=row[1], key_id=row[2], model=row[3], sums=self._sums(row[4:])) for row in found
        ]
        return tuple(sorted(cells, key=lambda cell: cell.day))

    async def people(self) -> int:
        """How many have asked."""
        counted = select(func.count(distinct(UsageStats.user_id)))
        return int(await self._rows.scalar(self._within(counted, DAYS)) or 0)

    async def hours(self, hour: ColumnElement[Any]) -> tuple[Hour, ...]:
        """Requests and tokens by hour."""
        day, sums = self._requests.groups["day"], self._requests.sums
        wanted = self._within(select(day, hour, sums[0], sums[2] + sums[3]), self._requests)
        found = await self._rows.execute(wanted.group_by(day, hour).order_by(day, hour))
        return tuple(Hour(day=row[0], hour=int(row[1]), requests=int(row[2]), tokens=int(row[3] or 0)) for row in found)

    async def statuses(self) -> dict[str, int]:
        """How many requests ended how."""
        wanted = self._within(select(RequestLog.status, func.count()), self._requests)
        found = await self._rows.execute(wanted.group_by(RequestLog.status).order_by(RequestLog.status))
        return {row[0]: int(row[1]) for row in found}

    async def failures(self) -> tuple[Failure, ...]:
        """What went wrong most often."""
        by = (RequestLog.status, RequestLog.error_code, RequestLog.model_used)
        failed = self._within(select(*by, func.count()), self._requests).where(RequestLog.status.in_(ERRORS))
        found = await self._rows.execute(
            failed.group_by(*by).order_by(desc(func.count()), *map(nulls_first, by)).limit(contract.MAX_SHARES)
        )
        return tuple(
            Failure(status=row[0], code=row[1] or "", model=row[2] or "", requests=int(row[3])) for row in found
        )

    async def percentiles(self, column: InstrumentedAttribute[Any]) -> Percentiles | None:
        """Of the requests that succeeded; none without any."""
        wanted = self._within(select(column.label("ms")), self._requests)
        timed = wanted.where(RequestLog.status == "success", column.is_not(None)).subquery()
        count = int(await self._rows.scalar(select(func.count()).select_from(timed)) or 0)
        if not count:
            return None
        ranks = [max(1, math.ceil(count * rank)) for rank in RANKS]
        ranked = select(timed.c.ms, func.row_number().over(order_by=timed.c.ms).label("rank")).subquery()
        found = await self._rows.execute(select(ranked.c.rank, ranked.c.ms).where(ranked.c.rank.in_(ranks)))
        by_rank = {row.rank: float(row.ms) for row in found}
        return Percentiles(*(by_rank[rank] for rank in ranks))

    def _within(self, query: Select[*tuple[Any, ...]], source: Source) -> Select[*tuple[Any, ...]]:
        return query.where(*source.within(self._since, self._until))

    def _sums(self, row: Sequence[Any]) -> Sums:
        requests, errors, prompt, completion = (int(value or 0) for value in row[:4])
        cost = self._prices.shown(None if row[4] is None else int(row[4]))
        return Sums(requests=requests, errors=errors, prompt_tokens=prompt, completion_tokens=completion, cost=cost)


def _key(value: date | str | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""


def _without(total: Sums, rows: Sequence[Sums]) -> Sums:
    return Sums(
        requests=total.requests - sum(row.requests for row in rows),
        errors=total.errors - sum(row.errors for row in rows),
        prompt_tokens=total.prompt_tokens - sum(row.prompt_tokens for row in rows),
        completion_tokens=total.completion_tokens - sum(row.completion_tokens for row in rows),
        cost=None if total.cost is None else max(0.0, total.cost - sum(row.cost or 0.0 for row in rows)),
    )


def _labelled(shares: Sequence[Share], names: Mapping[str, str], unnamed: str) -> tuple[Share, ...]:
    return tuple(Share(key=one.key, label=names.get(one.key, one.label) or unnamed, sums=one.sums) for one in shares)


async def _usernames(rows: AsyncSession, *ids: Sequence[str | None]) -> dict[str, str]:
    names: dict[str, str] = {}
    for some in _in_parts(ids):
        found = await rows.execute(select(User.id, User.username).where(User.id.in_(some)))
        names |= {row.id: row.username for row in found}
    return names


async def _key_names(rows: AsyncSession, *ids: Sequence[str | None]) -> dict[str, str]:
    """Whose a key is, its name, and the part of it that is no secret."""
    named = select(ApiKeyRow.id, ApiKeyRow.name, ApiKeyRow.public_id, User.username)
    names: dict[str, str] = {}
    for some in _in_parts(ids):
        found = await rows.execute(named.join(User, User.id == ApiKeyRow.user_id).where(ApiKeyRow.id.in_(some)))
        names |= {row.id: f"{row.username}: {row.name} ({PREFIX}{row.public_id}…)" for row in found}
    return names


def _in_parts(ids: Sequence[Sequence[str | None]]) -> Sequence[Sequence[str]]:
    wanted = sorted({one for some in ids for one in some if one and one != contract.OTHER})
    return [wanted[at : at + NAMES_AT_ONCE] for at in range(0, len(wanted), NAMES_AT_ONCE)]
