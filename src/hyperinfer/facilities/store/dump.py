"""Rows of a table as lines of JSON, alike for every kind of database, and back.

What a column holds is said beside the lines, so that they can be read into a database of another kind, and by versions of
the product whose tables are no longer the same.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import date, datetime
from typing import IO, Any, Literal

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    Double,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    column,
    func,
    insert,
    select,
    table,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from hyperinfer.errors import InternalError
from hyperinfer.facilities.store.types import UtcDateTime

CHUNK_ROWS = 500
MAX_LINE_BYTES = 16 * 1024 * 1024

Kind = Literal["uuid", "time", "date", "boolean", "integer", "number", "json", "text"]

STORED: dict[Kind, TypeEngine[Any]] = {
    "uuid": Uuid(as_uuid=False),
    "time": UtcDateTime(),
    "date": Date(),
    "boolean": Boolean(),
    "integer": BigInteger(),
    "number": Double(),
    "json": JSON(none_as_null=True),
    "text": Text(),
}
"""How a value of each kind is given to a database."""
WRITTEN: dict[Kind, Any] = {
    "uuid": str | None,
    "time": datetime | None,
    "date": date | None,
    "boolean": bool | None,
    "integer": int | None,
    "number": float | None,
    "json": Any,
    "text": str | None,
}
"""What a line may hold for it."""
KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (UtcDateTime, "time"),
    (Uuid, "uuid"),
    (Date, "date"),
    (Boolean, "boolean"),
    (Integer, "integer"),
    (Float, "number"),
    (JSON, "json"),
    (String, "text"),
)

Counted = Callable[[int], None]
"""Told how many more rows are done."""


class Column(msgspec.Struct, frozen=True):
    """A column and what it holds."""

    name: str
    kind: Kind


def columns_of(of: Table) -> tuple[Column, ...]:
    """The columns of a table, in their order."""
    return tuple(Column(str(one.name), _kind(one.type, one.name)) for one in of.columns)


def _kind(stored: TypeEngine[Any], name: str) -> Kind:
    for known, kind in KINDS:
        if isinstance(stored, known):
            return kind
    raise InternalError(f"The column {name} is of a type that cannot be written to a backup: {stored!r}.")


async def count(connection: AsyncConnection, metadata: MetaData) -> int:
    """How many rows there are in all."""
    total = 0
    for of in metadata.sorted_tables:
        total += await connection.scalar(select(func.count()).select_from(of)) or 0
    return total


async def lines(connection: AsyncConnection, of: Table) -> AsyncIterator[bytes]:
    """The rows of a table, in the order of its key, each a JSON array with its end of line."""
    encoder = msgspec.json.Encoder()
    wanted = select(of).order_by(*of.primary_key.columns).execution_options(yield_per=CHUNK_ROWS)
    async with connection.stream(wanted) as rows:
        async for row in rows:
            yield encoder.encode(tuple(row)) + b"\n"


async def load(
    connection: AsyncConnection, name: str, columns: Sequence[Column], source: IO[bytes], *, counted: Counted
) -> None:
    """Put the lines of a file into a table. Raises `msgspec.DecodeError` for a line that does not fit the columns."""
    into = insert(table(name, *(column(one.name, STORED[one.kind]) for one in columns)))
    names = [one.name for one in columns]
    shape: Any = tuple.__class_getitem__(tuple(WRITTEN[one.kind] for one in columns))
    for rows in _chunks(source, msgspec.json.Decoder(shape)):
        await connection.execute(into, [dict(zip(names, row, strict=True)) for row in rows])
        counted(len(rows))


def _chunks(source: IO[bytes], decoder: msgspec.json.Decoder[Any]) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    while line := source.readline(MAX_LINE_BYTES):
        chunk.append(decoder.decode(line))
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
