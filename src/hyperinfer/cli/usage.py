"""`hyperinfer usage`: what was used, by day, key, model, person or status, and the single requests."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from hyperinfer.cli import options, usage_report
from hyperinfer.cli.bars import bar
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.manner import ascii_only, note, say, show_json
from hyperinfer.cli.people import found_key, found_user
from hyperinfer.cli.table import GAP, clipped, columns_of, show_table, terminal_width
from hyperinfer.cli.times import minute

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, RequestRow, UsageReport, UsageRow

F = TypeVar("F", bound=Callable[..., object])

LABEL_CHARS = 20
MODEL_CHARS = 26
BAR_COLUMNS = 16
BLANK = " "
"""No bar, where a dash would look like one."""
MIN_BAR_COLUMNS = 8
PLOT_COLUMNS = 80
SPARE = ("", "errors", "prompt", "completion")
"""What a narrow terminal can do without, first what is missed least."""
NOTHING = "Nothing was asked in this time."

day = click.DateTime(formats=["%Y-%m-%d"])


def filters(command: F) -> F:
    """Options that say which usage."""
    for option in (
        options.gateway,
        options.as_json,
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV that is safe in a spreadsheet."),
        click.option("--user", metavar="NAME", help="Of this person; for administrators."),
        click.option("--all", "everybody", is_flag=True, help="Of everybody; for administrators."),
        click.option("--model", metavar="NAME", help="Of this model."),
        click.option("--key", metavar="KEY", help="Of this API key of yours, by its start, name or id."),
        click.option("--until", type=day, metavar="DAY", help="To this day, in UTC; today unless said."),
        click.option("--since", type=day, metavar="DAY", help="From this day on, in UTC; 30 days unless said."),
    ):
        command = option(command)
    return command


@click.group(
    "usage",
    invoke_without_command=True,
    epilog=examples(
        "hyperinfer usage",
        "hyperinfer usage --plot",
        "hyperinfer usage --group model --since 2026-11-01",
        "hyperinfer usage --all --group user --csv > usage.csv",
        "hyperinfer usage requests --status error",
        "hyperinfer usage report",
    ),
)
@filters
@click.option(
    "--group",
    type=click.Choice(("day", "key", "model", "user", "status")),
    default="day",
    show_default=True,
    help="What each row sums up.",
)
@click.option("--plot", is_flag=True, help="Draw the tokens as bars instead.")
@click.pass_context
def command(
    context: click.Context, /, group: Any, plot: bool, as_csv: bool, as_json: bool, gateway: str | None, **which: Any
) -> None:
    """Show what was used: requests and tokens, by day unless said.

    In your session it is your whole account's. With an API key alone it is what that key has used, unless it has the
    scope account.
    """
    if context.invoked_subcommand is not None:
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Give the options after `{context.invoked_subcommand}`.", context)
        return
    _check_form(as_csv=as_csv, as_json=as_json, plot=plot)

    async def show(client: "AsyncClient") -> None:
        query, everybody = await _query(client, **which)
        usage = client.admin.usage if everybody else client.usage
        if as_csv:
            await _write(usage.report_csv(group, **query))
            return
        report = await usage.report(group, **query)
        if as_json:
            show_json(report)
        else:
            _plot(report) if plot else _show(report)

    looking_after(gateway, show)


command.add_command(usage_report.report)


@command.command("requests", epilog=examples("hyperinfer usage requests --since 2026-11-01"))
@filters
@click.option("--status", type=click.Choice(("success", "error", "timeout", "cancelled")), help="Those that ended so.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many rows."
)
def requests(status: Any, limit: int, as_csv: bool, as_json: bool, gateway: str | None, **which: Any) -> None:
    """List single requests.

    The newest are first; they are kept for a while. No prompt is: nobody can read one here.

    With --csv all that match are written, up to 100,000; the last line says how to have those after them.
    """
    _check_form(as_csv=as_csv, as_json=as_json)

    async def show(client: "AsyncClient") -> None:
        query, everybody = await _query(client, **which)
        usage = client.admin.usage if everybody else client.usage
        if as_csv:
            await _write(usage.requests_csv(status=status, **query))
            return
        rows = await _first(usage.each_request(status=status, **query), limit)
        show_json(rows) if as_json else _show_requests(rows, everybody=everybody)

    looking_after(gateway, show)


async def _query(
    client: "AsyncClient",
    *,
    since: datetime | None,
    until: datetime | None,
    key: str | None,
    model: str | None,
    everybody: bool,
    user: str | None,
) -> tuple[Any, bool]:
    """The options as the client library takes them, and whether they are about others."""
    query: dict[str, Any] = {"since": since and since.date(), "until": until and until.date(), "model": model}
    if key is not None:
        query["api_key_id"] = found_key(key, await client.keys.list()).id
    if user is not None:
        query["user_id"] = (await found_user(client, user)).id
    return query, everybody or user is not None


def _check_form(**forms: bool) -> None:
    if len(given := [name.replace("as_", "--") for name, wanted in forms.items() if wanted]) > 1:
        raise click.UsageError(f"Give one of {' and '.join(given)}.")


def _show(report: "UsageReport") -> None:
    if not report.rows:
        note(NOTHING)
        return
    priced = report.currency is not None and any(row.cost is not None for row in (*report.rows, report.total))
    titles = [report.group, "requests", "errors", "prompt", "completion", "tokens"]
    rows = [_line(row, priced=priced) for row in (*report.rows, report.total)]
    if priced:
        titles.append(f"cost ({report.currency})")
    if report.group == "day" and terminal_width() is not None:
        most = max(row.total_tokens for row in report.rows)
        titles.append("")
        for line, row in zip(rows, report.rows, strict=False):  # the total has no bar
            line.append(bar(row.total_tokens, most, BAR_COLUMNS, plain=ascii_only()) or BLANK)
        rows[-1].append(BLANK)
    show_table(titles, rows, spare=SPARE)


def _plot(report: "UsageReport") -> None:
    """Tokens as bars alone; of days also those without any."""
    tokens = {clipped(row.label or row.key, LABEL_CHARS): row.total_tokens for row in report.rows}
    if report.group == "day":
        days = [report.since + timedelta(days=at) for at in range((report.until - report.since).days + 1)]
        first = next((at for at, day in enumerate(days) if tokens.get(day.isoformat())), len(days))
        tokens = {day.isoformat(): tokens.get(day.isoformat(), 0) for day in days[first:]}
    if not any(tokens.values()):
        note(NOTHING)
        return
    names = max(columns_of(name) for name in tokens)
    numbers = max(len(f"{count:,}") for count in tokens.values())
    room = max(MIN_BAR_COLUMNS, (terminal_width() or PLOT_COLUMNS) - names - numbers - 2 * len(GAP))
    for name, count in tokens.items():
        drawn = bar(count, max(tokens.values()), room, plain=ascii_only())
        say(f"{name}{' ' * (names - columns_of(name))}{GAP}{count:>{numbers},}{GAP}{drawn}".rstrip())


def _line(row: "UsageRow", *, priced: bool) -> list[object]:
    label = clipped(row.label or row.key, LABEL_CHARS)
    cells = [label, row.requests, row.errors, row.prompt_tokens, row.completion_tokens, row.total_tokens]
    return [*cells, row.cost] if priced else cells


def _show_requests(rows: "list[RequestRow]", *, everybody: bool) -> None:
    if not rows:
        note(NOTHING)
        return
    titles = ["time", "model", "status", "prompt", "compl.", "ms"]
    lines = [
        [
            minute(row.created_at),
            clipped(row.model, MODEL_CHARS),
            row.status,
            row.prompt_tokens,
            row.completion_tokens,
            round(row.response_time_ms),
            *([row.username] if everybody else []),
        ]
        for row in rows
    ]
    show_table([*titles, "user"] if everybody else titles, lines, spare=("ms", "compl.", "prompt", "user"))


async def _first(rows: "AsyncGenerator[RequestRow]", most: int) -> "list[RequestRow]":
    found: list[RequestRow] = []
    async with aclosing(rows):
        async for row in rows:
            found.append(row)
            if len(found) == most:
                break
    return found


async def _write(pieces: AsyncGenerator[str]) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            say(piece, end="")
