"""`hyperinfer ps`: what runs in the swarm now, worker by worker."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import asking
from hyperinfer.cli.manner import note, printable, say, show_json
from hyperinfer.cli.table import show_table

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, SwarmWorker

SHORT = 12
TITLES = ("worker", "model", "state", "slots", "queued", "tokens/s", "first token", "errors", "memory")
SPARE = ("memory", "errors", "first token", "queued", "tokens/s", "slots")


@click.command("ps", epilog=examples("hyperinfer ps"))
@options.as_json
@options.gateway
def command(as_json: bool, gateway: str | None) -> None:
    """Show what runs in the swarm now.

    Of each worker its models: SLOTS that are busy, and all; how many requests are QUEUED; and, as recent averages, the
    speed, the time to the first token (s), and the share of requests that failed by the model's fault.
    """

    async def find(client: "AsyncClient") -> "tuple[SwarmWorker, ...]":
        return await client.models.workers()

    workers = asking(gateway, find)
    if as_json:
        show_json(workers)
        return
    rows = [row for worker in workers for row in _rows(worker)]
    if rows:
        show_table(TITLES, rows, spare=SPARE)
    for worker in workers:
        for backend in worker.backends:
            if not backend.available:
                say(f"{printable(_name(worker))}: the backend {printable(backend.name)} is away.", fg="yellow")
    if not workers:
        note("No inference worker is there. `hyperinfer up` starts one; `hyperinfer invite` lets other machines join.")


def _rows(worker: "SwarmWorker") -> Iterator[tuple[object, ...]]:
    if not worker.models:
        yield (_name(worker), "", worker.state, *[""] * 6)
    for model in worker.models:
        state = model.state if worker.state == "ready" else worker.state
        yield (
            _name(worker),
            model.name,
            "broken" if model.name in worker.broken else state,
            f"{model.busy}/{model.slots}",
            model.queued,
            f"{model.tokens_per_s:.1f}" if model.tokens_per_s else "",
            f"{model.first_token_s:.2f} s" if model.first_token_s else "",
            f"{100 * model.error_rate:.0f} %" if model.served or model.errors else "",
            f"{model.memory_bytes / 10**9:.1f} GB" if model.memory_bytes else "",
        )


def _name(worker: "SwarmWorker") -> str:
    return worker.name or worker.key[:SHORT]
