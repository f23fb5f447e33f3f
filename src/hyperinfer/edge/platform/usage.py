"""What was used and what is left: `/api/usage`, `/api/quota`, and everybody's for administrators."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
from starlette.responses import Response

from hyperinfer.contracts import usage
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.contracts.usage import Quota, QuotaRow, RequestQuery, RequestRow, Requests, UsageQuery, UsageReport
from hyperinfer.edge.downloads import CSV, Pages, as_csv, wants
from hyperinfer.edge.operations import JSON, Asked, Group, Operation, page_of, wanted
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import Shape, listing, query_shape, reply_shape, shape_of, shown

Format = Literal["json", "csv"]
OWN = frozenset({"user_id"})
"""A person asks for nobody else's."""


async def report(asked: Asked, method: Method[UsageQuery, UsageReport]) -> Response:
    """Sums, by group; as CSV without the total, which a spreadsheet would add to them."""
    reply = await asked.call(method, wanted(UsageQuery, asked))
    if wants(asked, CSV):
        return as_csv(f"usage-{reply.since}-{reply.until}", usage.UsageRow, reply.rows)
    return json_response(shown(reply))


async def requests(asked: Asked, method: Method[RequestQuery, Requests]) -> Response:
    """Single requests: a page, or as CSV all that there are from there on."""
    query = wanted(RequestQuery, asked)

    async def page(cursor: str | None, limit: int) -> tuple[Sequence[RequestRow], str | None]:
        reply = await asked.call(method, msgspec.structs.replace(query, cursor=cursor, limit=limit))
        return reply.requests, reply.next

    if wants(asked, CSV):
        return Pages(asked, page, name="requests", row=RequestRow, media=CSV, cursor=query.cursor)
    return json_response(page_of(*await page(query.cursor, query.limit)))


async def quota(asked: Asked) -> Response:
    """How the caller stands to every limit."""
    reply = await asked.call(usage.GET_QUOTA, Nothing())
    return as_csv("quota", QuotaRow, reply.limits) if wants(asked, CSV) else json_response(shown(reply))


def _query(kind: type[UsageQuery] | type[RequestQuery] | None, without: frozenset[str] = frozenset()) -> Shape:
    """The query with the form that is wanted; left out, the `Accept` header says it."""
    if kind is None:
        return shape_of("QuotaInUrl", None, optional={"format": Format})
    return shape_of(f"{kind.__name__}InUrl", kind.__doc__, query_shape(kind, without), optional={"format": Format})


def _report(path: str, method: Method[UsageQuery, UsageReport], summary: str, without: frozenset[str]) -> Operation:
    return Operation(
        verb="GET",
        path=path,
        summary=summary,
        access=method.access,
        answer=partial(report, method=method),
        query=_query(UsageQuery, without),
        replies=(reply_shape(UsageReport),),
        media=(JSON, CSV),
    )


def _requests(path: str, method: Method[RequestQuery, Requests], summary: str, without: frozenset[str]) -> Operation:
    return Operation(
        verb="GET",
        path=path,
        summary=summary,
        access=method.access,
        answer=partial(requests, method=method),
        query=_query(RequestQuery, without),
        replies=(listing(RequestRow),),
        media=(JSON, CSV),
    )


GROUP = Group(
    "Usage",
    (
        _report("/api/usage", usage.GET_USAGE, "What you have used, by day, key, model or status", OWN),
        _requests("/api/usage/requests", usage.LIST_REQUESTS, "Your single requests, newest first", OWN),
        Operation(
            verb="GET",
            path="/api/quota",
            summary="Your limits, what is used of them and when more is free",
            access=usage.GET_QUOTA.access,
            answer=quota,
            query=_query(None),
            replies=(reply_shape(Quota),),
            media=(JSON, CSV),
        ),
        _report("/api/admin/usage", usage.GET_ALL_USAGE, "What everybody has used", frozenset()),
        _requests("/api/admin/usage/requests", usage.LIST_ALL_REQUESTS, "Everybody's single requests", frozenset()),
    ),
)
