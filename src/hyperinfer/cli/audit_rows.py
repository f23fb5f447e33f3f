"""Rows of the audit log at the command line: which are asked for, and how they are shown and written."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from hyperinfer.errors import BadRequest
from hyperinfer.protocol.spreadsheet import csv_line

if TYPE_CHECKING:
    from hyperinfer.contracts.audit import AuditQuery, AuditRow
    from hyperinfer.workers.auth.audit.log import AuditLog

F = TypeVar("F", bound=Callable[..., object])

SHORT = 8
"""How much is shown of the random id of an account that is gone."""
TITLES = ("row", "time (UTC)", "action", "outcome", "by", "on", "from")
SPARE = ("from", "row", "on")
"""What a narrow terminal can do without, first what is missed least."""


def filters(command: F) -> F:
    """Options that say which rows."""
    for option in (
        click.option("--outcome", type=click.Choice(("ok", "refused", "failed")), help="Rows that ended so."),
        click.option("--user", metavar="NAME", help="What this account did, and what was done to it."),
        click.option("--action", metavar="NAME", help="Rows of this action; key.* finds all that begin so."),
        click.option("--until", metavar="TIME", help="Rows before then."),
        click.option("--since", metavar="TIME", help="Rows from then on, as 2026-11-01 or 2026-11-01T10:00:00Z."),
    ):
        command = option(command)
    return command


async def query_of(
    log: "AuditLog",
    *,
    limit: int,
    since: str | None,
    until: str | None,
    action: str | None,
    user: str | None,
    outcome: Any,
) -> "AuditQuery":
    """The options as the contract has them. Raises `BadRequest`, `NotFound`."""
    from hyperinfer.contracts.audit import AuditQuery

    return AuditQuery(
        since=_moment(since, "--since"),
        until=_moment(until, "--until"),
        action=action,
        outcome=outcome,
        account_id=await log.account_named(user) if user else None,
        limit=limit,
    )


def line(row: "AuditRow") -> tuple[object, ...]:
    """A row for people, under `TITLES`."""
    when = row.at[:19].replace("T", " ")
    done_by = _who(row.actor_name, row.actor) or ("this machine" if row.gateway == "local" else "")
    return row.seq, when, row.action, row.outcome, done_by, _who(row.target_name, row.target), row.remote


def plain(row: "AuditRow") -> dict[str, Any]:
    """A row for programs, in snake_case."""
    return msgspec.structs.asdict(row)


def json_line(row: "AuditRow") -> str:
    """A row as a line of JSON."""
    return msgspec.json.encode(plain(row)).decode() + "\n"


def csv_titles() -> str:
    """The first line of CSV."""
    from hyperinfer.contracts.audit import AuditRow

    return csv_line(AuditRow.__struct_fields__)


def csv_row(row: "AuditRow") -> str:
    """A row as a line of CSV, its details as JSON, under `csv_titles`."""
    cells = (*msgspec.structs.astuple(row)[:-1], msgspec.json.encode(row.details).decode())
    return csv_line(cells)


def _moment(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{option} takes a day or a time, as 2026-11-01 or 2026-11-01T10:00:00Z.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _who(name: str | None, subject: str | None) -> str:
    return name or (f"({subject[:SHORT]})" if subject else "")
