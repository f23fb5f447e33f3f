"""The swarm's health for administrators: `/api/admin/{system,metrics/history,alerts,logs}`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from starlette.responses import Response

from hyperinfer.contracts import metrics
from hyperinfer.contracts.logs import GATHER_LOGS, LogPage, LogQuery
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import Figures, History, HistoryQuery, SystemHealth
from hyperinfer.edge.downloads import JSON_LINES
from hyperinfer.edge.errors import body_of
from hyperinfer.edge.live import LASTS_S, Events, Live
from hyperinfer.edge.operations import EVENTS, Asked, Group, Operation, passing_on, wanted
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import given, query_shape, reply_shape, request_of, shape_of, shown
from hyperinfer.errors import BadRequest, HyperinferError
from hyperinfer.kernel.calls import Send

SYSTEM = "/api/admin/system"
ALERTS = "/api/admin/alerts"
ALL = Figures.__struct_fields__
OWN = frozenset({"figures"})
"""In a URL they are one field, with commas."""
NEWEST_S = 60.0
"""How long workers may be asked for their lines."""

_health = msgspec.json.Decoder(SystemHealth)
_page = msgspec.json.Decoder(LogPage)
_encoder = msgspec.json.Encoder()


async def events(asked: Asked) -> Response:
    """The swarm's health, and again after every collection."""

    async def stream(sink: Send) -> None:
        await asked.call(metrics.WATCH_SYSTEM, Nothing(), timeout_s=LASTS_S, sink=sink)

    return Live(stream, Events(lambda chunk: _encoder.encode(shown(_health.decode(chunk)))))


async def history(asked: Asked) -> Response:
    """Figures over time; their names come in one field, with commas between them."""
    named = asked.query.figures
    names = ALL if named is None else tuple(name.strip() for name in named.split(",") if name.strip())
    query = cast(HistoryQuery, request_of(HistoryQuery, {**given(asked.query), "figures": names}))
    _check_times(query)
    found = await asked.call(metrics.GET_HISTORY, query)
    return json_response(shown(found))


async def logs(asked: Asked) -> Response:
    """Lines of every worker, a JSON object each; the last one says which workers could not be asked, and why."""
    query = wanted(LogQuery, asked)
    _check_times(query)
    if not query.follow:
        page = await asked.call(GATHER_LOGS, query, timeout_s=NEWEST_S)
        return Response(_lines(page) + _missing(page.missing), media_type=JSON_LINES)
    form = _Followed()

    async def stream(sink: Send) -> None:
        form.missing.update((await asked.call(GATHER_LOGS, query, timeout_s=LASTS_S, sink=sink)).missing)

    return Live(stream, form)


class _Followed:
    """Pages of lines as they come; an empty line is a sign of life."""

    media = JSON_LINES
    beat = b"\n"

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """Their lines; who is missing is told at the end, as far as is known then."""
        pages = [_page.decode(chunk) for chunk in chunks]
        for page in pages:
            self.missing |= page.missing
        return b"".join(map(_lines, pages))

    def end(self) -> bytes:
        """Who was missing."""
        return _missing(self.missing)

    def failed(self, error: HyperinferError) -> bytes:
        """The error in the shape of every other."""
        return body_of(error) + b"\n"


def _lines(page: LogPage) -> bytes:
    """Each on a line of its own, whoever wrote it: within JSON a line's end can only stand between its parts."""
    return b"".join(bytes(line).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n" for line in page.lines)


def _missing(workers: dict[str, str]) -> bytes:
    return _encoder.encode({"missing": workers}) + b"\n"


def _check_times(query: HistoryQuery | LogQuery) -> None:
    """Raise `BadRequest` for what is no moment."""
    for name, text in (("since", query.since), ("until", query.until)):
        if text is None:
            continue
        try:
            moment = datetime.fromisoformat(text)
            moment.astimezone(UTC)
        except (ValueError, OverflowError):
            moment = None
        if moment is None or moment.tzinfo is None:
            raise BadRequest(f"{name} takes a moment as 2026-11-21T18:00:00Z.", param=name)


GROUP = Group(
    "Observing",
    (
        passing_on("GET", SYSTEM, metrics.GET_SYSTEM_HEALTH, "Every worker, its figures, and what is not well"),
        Operation(
            verb="GET",
            path=SYSTEM + "/events",
            summary="The same as events, after every collection, for an hour at most",
            access=metrics.WATCH_SYSTEM.access,
            answer=events,
            media=(EVENTS,),
        ),
        Operation(
            verb="GET",
            path="/api/admin/metrics/history",
            summary="Figures over time: those named, with commas between them, or all",
            access=metrics.GET_HISTORY.access,
            answer=history,
            query=shape_of(
                "HistoryQueryInUrl", HistoryQuery.__doc__, query_shape(HistoryQuery, OWN), optional={"figures": str}
            ),
            replies=(reply_shape(History),),
        ),
        passing_on("GET", ALERTS, metrics.LIST_ALERTS, "Alerts that are open, and lately resolved ones", rows="alerts"),
        passing_on(
            "POST",
            ALERTS + "/{id}/silence",
            metrics.SILENCE_ALERT,
            "Tell nobody of an alert for so many minutes; 0 ends that",
            example={"minutes": 120},
        ),
        passing_on(
            "POST",
            ALERTS + "/test",
            metrics.TEST_ALERTS,
            "Tell every receiver of alerts of one that means nothing, and say what came of it",
            rows="receivers",
        ),
        Operation(
            verb="GET",
            path="/api/admin/logs",
            summary='Log lines of every worker, oldest first; the last line is `{"missing": {…}}`, and with `follow` there are more until you hang up',
            access=GATHER_LOGS.access,
            answer=logs,
            query=query_shape(LogQuery),
            finds=True,
            media=(JSON_LINES,),
        ),
    ),
)
