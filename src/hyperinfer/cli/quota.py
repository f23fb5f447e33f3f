"""`hyperinfer quota`: one's limits, and what is left of them."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.manner import note, show_json


@click.command("quota")
@options.as_json
@options.gateway
def command(as_json: bool, gateway: str | None) -> None:
    """Show every limit of yours, what is used of it, and when more is free.

    OF says whose limit it is: that of your account, over all your keys, or that of the API key in your profile, with
    which models are asked.
    """
    from hyperinfer.cli.gateway import asking
    from hyperinfer.cli.table import show_table
    from hyperinfer.cli.times import second

    quota = asking(gateway, lambda client: client.usage.quota())
    if as_json:
        show_json(quota)
    elif quota.limits:
        rows = [
            (row.of, row.name.replace("_", "-"), row.limit, row.used, row.remaining, second(row.resets_at))
            for row in quota.limits
        ]
        show_table(("of", "limit", "most", "used", "left", "more at"), rows)
    else:
        note(f"Nothing limits you: your tier is {quota.tier}.")
