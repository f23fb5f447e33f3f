"""`hyperinfer quota`: one's limits, and what is left of them."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, show_json

BAR_COLUMNS = 12


@click.command("quota", epilog=examples("hyperinfer quota", "hyperinfer quota --json"))
@options.as_json
@options.gateway
def command(as_json: bool, gateway: str | None) -> None:
    """Show every limit of yours, what is used of it, and when more is free.

    OF says whose limit it is: that of your account, over all your keys, or that of the API key in your profile, with
    which models are asked.
    """
    from hyperinfer.cli.bars import gauge
    from hyperinfer.cli.gateway import asking
    from hyperinfer.cli.manner import ascii_only
    from hyperinfer.cli.table import show_table, terminal_width
    from hyperinfer.cli.times import second

    quota = asking(gateway, lambda client: client.usage.quota())
    if as_json:
        show_json(quota)
        return
    if not quota.limits:
        note(f"Nothing limits you: your tier is {quota.tier}.")
        return
    titles = ["of", "limit", "most", "used", "left", "more at"]
    rows = [
        [row.of, row.name.replace("_", "-"), row.limit, row.used, row.remaining, second(row.resets_at)]
        for row in quota.limits
    ]
    if terminal_width() is not None:
        titles.append("")
        for line, row in zip(rows, quota.limits, strict=True):
            line.append(gauge(row.used, row.limit, BAR_COLUMNS, plain=ascii_only()))
    show_table(titles, rows, spare=("", "of", "more at", "most"))
