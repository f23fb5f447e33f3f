"""The audit log for administrators: `/api/admin/audit`."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.responses import Response

from hyperinfer.contracts.audit import LIST_AUDIT, AuditQuery, AuditRow
from hyperinfer.edge.downloads import CSV, JSON_LINES, Pages, wants
from hyperinfer.edge.operations import JSON, Asked, Group, Operation, page_of, wanted
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import listing, query_shape, shape_of

Format = Literal["json", "csv", "jsonl"]


async def audit(asked: Asked) -> Response:
    """A page of the log, or as CSV or JSON lines all that there is from there on."""
    query = wanted(AuditQuery, asked)

    async def page(cursor: str | None, limit: int) -> tuple[Sequence[AuditRow], str | None]:
        reply = await asked.call(LIST_AUDIT, msgspec.structs.replace(query, cursor=cursor, limit=limit))
        return reply.rows, reply.next

    for media in (CSV, JSON_LINES):
        if wants(asked, media):
            return Pages(asked, page, name="audit", row=AuditRow, media=media, cursor=query.cursor)
    return json_response(page_of(*await page(query.cursor, query.limit)))


GROUP = Group(
    "Audit",
    (
        Operation(
            verb="GET",
            path="/api/admin/audit",
            summary="What was done, by whom, on whom and from where, newest first",
            access=LIST_AUDIT.access,
            answer=audit,
            query=shape_of("AuditQueryInUrl", AuditQuery.__doc__, query_shape(AuditQuery), optional={"format": Format}),
            replies=(listing(AuditRow),),
            media=(JSON, CSV, JSON_LINES),
        ),
    ),
)
