"""Answers to be saved: CSV that spreadsheets do not run, JSON lines, fetched and sent page by page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hyperinfer.contracts.method import Wire
from hyperinfer.contracts.people import MAX_PAGE
from hyperinfer.edge.operations import JSON, Asked
from hyperinfer.edge.request import ClientGone, watch
from hyperinfer.edge.shapes import shown
from hyperinfer.facilities.tasks import background
from hyperinfer.protocol.spreadsheet import Cell, csv_line

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"
FORMATS = {JSON: "json", CSV: "csv", JSON_LINES: "jsonl"}
"""What `format` calls each."""

MAX_ROWS = 100_000
"""Rows of one download; a last line says how to have those after them."""
TAKE_S = 60.0
"""How long a client may take nothing of a page."""

Page = Callable[[str | None, int], Awaitable[tuple[Sequence[Wire], str | None]]]
"""The rows from a cursor on, so many at most, and the cursor after them."""

_encoder = msgspec.json.Encoder()


def wants(asked: Asked, media: str) -> bool:
    """Whether the answer is to be of this form: by `format`, else by the `Accept` header."""
    chosen = getattr(asked.query, "format", None)
    if chosen is not None:
        return bool(chosen == FORMATS[media])
    accepted = [part.partition(";")[0].strip().lower() for part in asked.accept.split(",")]
    return media in accepted and JSON not in accepted


def attachment(name: str) -> dict[str, str]:
    """The header by which a browser saves an answer. The name is ours: letters, digits, dots and dashes."""
    return {"content-disposition": f'attachment; filename="{name}"'}


def as_csv(name: str, kind: type[Wire], rows: Sequence[Wire]) -> Response:
    """A whole table."""
    text = csv_line(kind.__struct_fields__) + "".join(map(_csv, rows))
    return Response(text, media_type=CSV, headers=attachment(f"{name}.csv"))


class Pages(Response):
    """A table of any length, of which one page is held at a time. The first is had before the answer begins, so that a
    refusal still has its status; one that fails later breaks the answer off."""

    def __init__(self, asked: Asked, page: Page, *, name: str, row: type[Wire], media: str, cursor: str | None) -> None:
        super().__init__(media_type=media, headers=attachment(f"{name}.{FORMATS[media]}"))
        del self.headers["content-length"]
        self._asked = asked
        self._page = page
        self._row = row
        self._as_csv = media == CSV
        self._cursor = cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with background(watch(receive), name="client"):
            rows, following = await self._page(self._cursor, MAX_PAGE)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await _send(send, b"", more=False)
                return
            sent = 0
            head = csv_line(self._row.__struct_fields__) if self._as_csv else ""
            while True:
                sent += len(rows)
                more = following is not None and sent < MAX_ROWS
                text = head + "".join(map(_csv if self._as_csv else _json_line, rows))
                if following is not None and not more:
                    text += self._cut(following)
                await _send(send, text.encode(), more=more)
                if not more:
                    return
                head = ""
                rows, following = await self._page(following, MAX_PAGE)

    def _cut(self, following: str) -> str:
        """The last line of a download that is longer than one may be."""
        words = f"There is more: ask again with cursor={following}"
        return csv_line([words]) if self._as_csv else _encoder.encode({"more": following}).decode() + "\n"


async def _send(send: Send, body: bytes, *, more: bool) -> None:
    try:
        async with asyncio.timeout(TAKE_S):
            await send({"type": "http.response.body", "body": body, "more_body": more})
    except TimeoutError as error:
        raise ClientGone from error


def _json_line(row: Wire) -> str:
    return _encoder.encode(shown(row)).decode() + "\n"


def _csv(row: Wire) -> str:
    return csv_line([_cell(getattr(row, name)) for name in row.__struct_fields__])


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, str | int | float):
        return value
    return _encoder.encode(value).decode()
