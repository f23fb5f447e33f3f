"""`hyperinfer models load` and `unload`: what workers keep in memory, for administrators."""

from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.manner import show_json
from hyperinfer.cli.table import show_table

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Placed

SHORT = 12
worker = click.option(
    "--worker", metavar="KEY", default="", help="The one worker to do it, as `ps --json` shows its key; otherwise all."
)


@click.command("load", epilog=examples("hyperinfer models load smollm2-135m"))
@click.argument("model")
@worker
@options.as_json
@options.gateway
def load(model: str, worker: str, as_json: bool, gateway: str | None) -> None:
    """Load a MODEL into memory.

    At every worker that has it, or at one. It ends once the model is ready.
    """

    async def place(client: "AsyncClient") -> "tuple[Placed, ...]":
        return await client.admin.models.load(model, worker=worker)

    _show(looking_after(gateway, place), as_json=as_json)


@click.command("unload", epilog=examples("hyperinfer models unload smollm2-135m"))
@click.argument("model")
@worker
@options.as_json
@options.gateway
def unload(model: str, worker: str, as_json: bool, gateway: str | None) -> None:
    """Give the memory of a MODEL back.

    Requests that run are let end; those that wait are refused. The next request loads it again.
    """

    async def place(client: "AsyncClient") -> "tuple[Placed, ...]":
        return await client.admin.models.unload(model, worker=worker)

    _show(looking_after(gateway, place), as_json=as_json)


def _show(placed: "tuple[Placed, ...]", *, as_json: bool) -> None:
    if as_json:
        show_json(placed)
    else:
        rows = [(one.worker[:SHORT], one.status.state if one.status else "failed", one.error) for one in placed]
        show_table(("worker", "state", "why"), rows)
    if any(one.error for one in placed):
        raise click.exceptions.Exit(1)
