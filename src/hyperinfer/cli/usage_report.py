"""`hyperinfer usage report`: what a day or a week came to, to be read here, mailed on, or opened in a spreadsheet."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import minute
from hyperinfer.errors import BadRequest
from hyperinfer.kernel.files import write_atomic

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, KeptReport
    from hyperinfer.sdk.reports import ReportForm

STDOUT = "-"
OWNERS = 0o600
"""It names people."""

file = click.Path(dir_okay=False, allow_dash=True)


@click.command(
    "report",
    epilog=examples(
        "hyperinfer usage report",
        "hyperinfer usage report --weekly",
        "hyperinfer usage report --day 2026-11-20 --html report.html",
        "hyperinfer usage report usage-2026-W47 --csv week.csv",
        "hyperinfer usage report --list",
    ),
)
@click.argument("name", required=False)
@click.option("--weekly", is_flag=True, help="Of a week, from Monday to Sunday; the last one that is over unless said.")
@click.option(
    "--day",
    type=click.DateTime(formats=["%Y-%m-%d"]),
    metavar="DAY",
    help="Of this day in UTC, or the week that it is in; yesterday unless said.",
)
@click.option("--csv", "csv_file", type=file, metavar="FILE", help="Save every row as CSV; - prints it.")
@click.option("--html", "html_file", type=file, metavar="FILE", help="Save it as a page, as it is mailed; - prints it.")
@click.option("--list", "listed", is_flag=True, help="List the reports that are kept.")
@options.as_json
@options.gateway
def report(
    *,
    name: str | None,
    weekly: bool,
    day: datetime | None,
    csv_file: str | None,
    html_file: str | None,
    listed: bool,
    as_json: bool,
    gateway: str | None,
) -> None:
    """Show the usage report of a day or a week; for administrators.

    NAME is what a report is called in the list. One that is not kept is made, also of a day that still lasts. The metrics
    worker makes them every night, and mails them to whom its settings name.
    """
    if name and (weekly or day):
        raise click.UsageError("Give a NAME, or --day and --weekly.")
    if as_json and not listed:
        raise click.UsageError("--json goes with --list; a report itself comes as text, --csv or --html.")

    async def show(client: "AsyncClient") -> None:
        if listed:
            kept = await client.admin.reports.list()
            show_json(kept) if as_json else _show(kept)
            return
        wanted = name or name_of(day.date() if day else None, weekly=weekly, today=datetime.now(UTC).date())
        forms: tuple[tuple[ReportForm, str | None], ...] = (("csv", csv_file), ("html", html_file))
        for form, path in forms:
            if path:
                _save(path, await client.admin.reports.read(wanted, form=form))
        if not (csv_file or html_file):
            say(await client.admin.reports.read(wanted, form="text"), end="")

    if csv_file and csv_file == html_file:
        raise click.UsageError("--csv and --html go to different files.")
    looking_after(gateway, show)


def name_of(day: date | None, *, weekly: bool, today: date) -> str:
    """What the report is called of a day, or of the week that it is in; without one, of the last that is over."""
    if not weekly:
        return f"usage-{day or today - timedelta(days=1)}"
    year, week, _ = (day or today - timedelta(days=7)).isocalendar()
    return f"usage-{year:04}-W{week:02}"


def _save(path: str, text: str) -> None:
    if path == STDOUT:
        say(text, end="")
        return
    try:
        write_atomic(Path(path), text.encode(), mode=OWNERS)
    except OSError as error:
        raise BadRequest(f"Cannot write {path}: {error.strerror}.") from error
    note(f"Saved {path}.")


def _show(kept: "tuple[KeptReport, ...]") -> None:
    if not kept:
        note("There is no report yet: the first is made in the night after the first day.")
        return
    rows = [
        [
            one.name,
            one.requests,
            one.total_tokens,
            minute(one.made_at),
            minute(one.mailed_at) if one.mailed_at else None,
        ]
        for one in kept
    ]
    show_table(["report", "requests", "tokens", "made", "mailed"], rows, spare=("mailed", "made", "tokens"))
