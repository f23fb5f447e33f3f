"""What was used and what is left: `client.usage`, and everybody's in `client.admin.usage`."""

from collections.abc import AsyncGenerator
from datetime import date
from typing import TypedDict, Unpack

from hyperinfer.sdk.calls import MAX_PAGE, Calls, each
from hyperinfer.sdk.reports import Grouping, Page, Quota, RequestRow, Status, UsageReport


class UsageQuery(TypedDict, total=False):
    """Which usage: days in UTC, both included, the last 30 unless said; of one key, or one model."""

    since: date | None
    until: date | None
    api_key_id: str | None
    model: str | None


class RequestQuery(UsageQuery, total=False):
    """Which requests: further those that ended so."""

    status: Status | None


class AllUsageQuery(UsageQuery, total=False):
    """Which usage, of one person or of all."""

    user_id: str | None


class AllRequestQuery(RequestQuery, total=False):
    """Which requests, of one person or of all."""

    user_id: str | None


class OwnUsage:
    """Usage of the account that the credential is of; an API key without the scope `account` sees its own alone."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def report(self, group: Grouping = "day", **query: Unpack[UsageQuery]) -> UsageReport:
        """Sums by group and in all."""
        return await self._calls.get("/api/usage", UsageReport, group=group, **query)

    def report_csv(self, group: Grouping = "day", **query: Unpack[UsageQuery]) -> AsyncGenerator[str]:
        """The same as CSV that is safe in a spreadsheet, in pieces as it comes."""
        return self._calls.csv("/api/usage", group=group, **query)

    async def requests(
        self, *, cursor: str | None = None, limit: int = 50, **query: Unpack[RequestQuery]
    ) -> Page[RequestRow]:
        """Single requests, newest first, of as long as they are kept."""
        return await self._calls.get("/api/usage/requests", Page[RequestRow], cursor=cursor, limit=limit, **query)

    def each_request(self, **query: Unpack[RequestQuery]) -> AsyncGenerator[RequestRow]:
        """Every request, page by page."""
        return each(lambda cursor: self.requests(cursor=cursor, limit=MAX_PAGE, **query))

    def requests_csv(self, **query: Unpack[RequestQuery]) -> AsyncGenerator[str]:
        """Requests as CSV that is safe in a spreadsheet, up to 100,000; the last line says how to have the rest."""
        return self._calls.csv("/api/usage/requests", **query)

    async def quota(self) -> Quota:
        """Every limit, what is used of it, and when more is free."""
        return await self._calls.get("/api/quota", Quota)


class AllUsage:
    """Usage of everybody, for administrators; methods as `OwnUsage` has them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def report(self, group: Grouping = "day", **query: Unpack[AllUsageQuery]) -> UsageReport:
        """Sums by group and in all."""
        return await self._calls.get("/api/admin/usage", UsageReport, group=group, **query)

    def report_csv(self, group: Grouping = "day", **query: Unpack[AllUsageQuery]) -> AsyncGenerator[str]:
        """The same as CSV."""
        return self._calls.csv("/api/admin/usage", group=group, **query)

    async def requests(
        self, *, cursor: str | None = None, limit: int = 50, **query: Unpack[AllRequestQuery]
    ) -> Page[RequestRow]:
        """Single requests, newest first."""
        return await self._calls.get("/api/admin/usage/requests", Page[RequestRow], cursor=cursor, limit=limit, **query)

    def each_request(self, **query: Unpack[AllRequestQuery]) -> AsyncGenerator[RequestRow]:
        """Every request, page by page."""
        return each(lambda cursor: self.requests(cursor=cursor, limit=MAX_PAGE, **query))

    def requests_csv(self, **query: Unpack[AllRequestQuery]) -> AsyncGenerator[str]:
        """Requests as CSV."""
        return self._calls.csv("/api/admin/usage/requests", **query)
