"""`hyperinfer logs`: what workers have logged, on this machine or, through a gateway, in the whole swarm."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import guesses, options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note

if TYPE_CHECKING:
    from hyperinfer.cli.logs_here import Event
    from hyperinfer.contracts.logs import LogQuery

CURRENT = "current"
MAX_LINES = 1000
WRITING_S = 0.2
"""What it may take until lines that are due are in the file."""
LEVELS = ("debug", "info", "warning", "error")

Show = Callable[[Mapping[str, Any]], None]


@click.command(
    "logs",
    epilog=examples(
        "hyperinfer logs --follow",
        "hyperinfer logs --since 10m --level warning",
        "hyperinfer logs --gateway --request req_0123456789abcdef01234567",
    ),
)
@click.option(
    "--request", "request_id", metavar="ID", help="Lines of one request, by its x-request-id or what is shown of it."
)
@click.option("--trace", "trace_id", metavar="ID", help="Lines of one trace.")
@click.option(
    "--worker", metavar="NAME", help="Lines of one worker, as `hyperinfer status` or `members list` names it."
)
@click.option("--level", type=click.Choice(LEVELS), help="Lines of this level, and graver ones.")
@click.option("--since", metavar="TIME", help="Lines of so long, such as 10m, 2h or 3d, or since a time.")
@click.option(
    "-n", "--lines", type=click.IntRange(1, MAX_LINES), default=100, show_default=True, help="How many, the newest."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with lines as they are written, until Ctrl-C.")
@click.option(
    "--gateway",
    metavar="[URL]",
    is_flag=False,
    flag_value=CURRENT,
    shell_complete=guesses.gateways,
    help="Ask every worker of the swarm, through a gateway; without URL the one in use.",
)
@options.as_json
@options.profile
def command(
    request_id: str | None,
    trace_id: str | None,
    worker: str | None,
    level: Any,
    since: str | None,
    lines: int,
    *,
    follow: bool,
    gateway: str | None,
    as_json: bool,
) -> None:
    """Show log lines, oldest first: of this machine, whether anything runs or not.

    With --gateway those of all workers of the swarm, which is for administrators. Every request has an id, which its sender finds in
    the header x-request-id; by it one request's lines are found in every worker that it has touched.
    """
    from hyperinfer.cli.logs_shown import shower
    from hyperinfer.contracts.logs import LogQuery

    query = LogQuery(
        request_id=request_id,
        trace_id=trace_id,
        worker=worker,
        level=level,
        since=_since(since),
        limit=lines,
        follow=follow,
    )
    show = shower(as_json=as_json, whole_ids=bool(request_id))
    if gateway is None:
        _here(query, show)
    else:
        _there(None if gateway == CURRENT else gateway, query, show)


def _since(text: str | None) -> str | None:
    from hyperinfer.cli.times import start
    from hyperinfer.facilities.clock import SystemClock

    return start(text, "--since", now=SystemClock().now()).isoformat() if text else None


def _here(query: "LogQuery", show: Show) -> None:
    from hyperinfer.cli.logs_here import follow, newest, places

    wheres = places()
    if query.follow:
        for lines in follow(wheres, query):
            _show_all(lines, show)
    elif found := newest(wheres, query) or (_is_of_one(query) and _looked_again(wheres, query)):
        _show_all(found, show)
    else:
        none = not any(where.is_dir() for where in wheres)
        note(f"There is no log in {', '.join(map(str, wheres))}." if none else "No line matches.")


def _show_all(lines: Iterable[Mapping[str, Any]], show: Show) -> None:
    for line in lines:
        show(line)


def _is_of_one(query: "LogQuery") -> bool:
    return query.request_id is not None or query.trace_id is not None


def _looked_again(wheres: "Sequence[Path]", query: "LogQuery") -> "list[Event]":
    """A request that has just ended is looked for once more, when its lines have been written."""
    from hyperinfer.cli.logs_here import newest
    from hyperinfer.facilities.log.writer import FLUSH_S

    time.sleep(FLUSH_S + WRITING_S)
    return newest(wheres, query)


def _there(gateway: str | None, query: "LogQuery", show: Show) -> None:
    from hyperinfer.cli.gateway import looking_after
    from hyperinfer.cli.manner import printable
    from hyperinfer.sdk import AsyncClient

    async def read(client: AsyncClient) -> int:
        count = 0
        async for line in client.admin.logs(
            follow=query.follow,
            request_id=query.request_id,
            trace_id=query.trace_id,
            worker=query.worker,
            level=query.level,
            since=datetime.fromisoformat(query.since) if query.since else None,
            limit=query.limit,
        ):
            if line.keys() == {"missing"}:
                for name, why in line["missing"].items():
                    note(printable(f"{name} was not asked: {why}"), fg="yellow")
            else:
                show(line)
                count += 1
        return count

    if not looking_after(gateway, read):
        note("No line matches.")
