"""Reports of usage by day, key, model, person or status."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import desc, nulls_first, select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts.usage import MAX_ROWS, OTHER, UsageQuery, UsageReport, UsageRow
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.models import ApiKeyRow, User
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.prices import Prices
from hyperinfer.workers.auth.usage.ranges import days_of
from hyperinfer.workers.auth.usage.reach import Reach
from hyperinfer.workers.auth.usage.sources import source_for

GONE = "deleted accounts"
NO_KEY = "without a key"
TOTAL = "total"
NOTHING = (0, 0, 0, 0, None)


class Reports:
    """Sums of what has been used. Reads only, and so may be given a replica. Raises `Unavailable`, `BadRequest`."""

    def __init__(self, database: Readable, *, clock: Clock, settings: UsageSettings) -> None:
        self._database = database
        self._clock = clock
        self._prices = Prices(settings)

    async def of(self, query: UsageQuery, reach: Reach) -> UsageReport:
        """Usage within reach, whatever ids the query names."""
        async with self._database.read() as session:
            return await self._report(session, query, reach)

    async def _report(self, session: AsyncSession, query: UsageQuery, reach: Reach) -> UsageReport:
        since, until = days_of(query.since, query.until, today=self._clock.now().date())
        asked = Reach(user_id=query.user_id, key_id=query.api_key_id)
        rows: list[UsageRow] = []
        total = self._row(TOTAL, TOTAL, NOTHING)
        if reach.is_possible and asked.is_possible:
            source = source_for(query, dialect=session.get_bind().dialect.name)
            conditions = [
                *source.within(since, until),
                *reach.conditions(source.user, source.key),
                *asked.conditions(source.user, source.key),
                *source.of_model(query.model),
            ]
            total = self._row(TOTAL, TOTAL, (await session.execute(select(*source.sums).where(*conditions))).one())
            group = source.groups[query.group]
            order = (group,) if query.group == "day" else (desc(source.sums[2] + source.sums[3]), nulls_first(group))
            grouped = select(group, *source.sums).where(*conditions).group_by(group).order_by(*order)
            found = (await session.execute(grouped.limit(MAX_ROWS + 1))).all()
            shown = found if len(found) <= MAX_ROWS else found[:MAX_ROWS]
            labels = await _labels(session, query.group, [row[0] for row in shown], is_own=reach.user_id is not None)
            rows = [self._row(_key(row[0]), labels.get(row[0], _key(row[0])), row[1:]) for row in shown]
            if len(found) > len(shown):
                rows.append(_rest(total, rows))
        return UsageReport(
            since=since, until=until, group=query.group, rows=tuple(rows), total=total, currency=self._prices.currency
        )

    def _row(self, key: str, label: str, sums: Sequence[Any]) -> UsageRow:
        requests, errors, prompt, completion = (int(value or 0) for value in sums[:4])
        return UsageRow(
            key=key,
            label=label,
            requests=requests,
            errors=errors,
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cost=self._prices.shown(None if sums[4] is None else int(sums[4])),
        )


def _key(value: date | str | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""


async def _labels(session: AsyncSession, group: str, ids: Sequence[Any], *, is_own: bool) -> dict[Any, str]:
    """What to show for ids."""
    if group == "user":
        people = await session.execute(select(User.id, User.username).where(User.id.in_(ids)))
        return {None: GONE, **{row.id: row.username for row in people}}
    if group == "key":
        named = select(ApiKeyRow.id, ApiKeyRow.name, User.username).join(User, User.id == ApiKeyRow.user_id)
        keys = await session.execute(named.where(ApiKeyRow.id.in_(ids)))
        return {None: NO_KEY, **{row.id: row.name if is_own else f"{row.username}: {row.name}" for row in keys}}
    return {}


def _rest(total: UsageRow, rows: Sequence[UsageRow]) -> UsageRow:
    """What is in the total and in none of the rows."""
    return UsageRow(
        key=OTHER,
        label=OTHER,
        requests=total.requests - sum(row.requests for row in rows),
        errors=total.errors - sum(row.errors for row in rows),
        prompt_tokens=total.prompt_tokens - sum(row.prompt_tokens for row in rows),
        completion_tokens=total.completion_tokens - sum(row.completion_tokens for row in rows),
        total_tokens=total.total_tokens - sum(row.total_tokens for row in rows),
        cost=None if total.cost is None else max(0.0, total.cost - sum(row.cost or 0 for row in rows)),
    )
