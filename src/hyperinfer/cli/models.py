"""`hyperinfer models`: what the swarm serves."""

import asyncio

import click

from hyperinfer.cli import options
from hyperinfer.cli.manner import note, show_json
from hyperinfer.cli.table import show_table


@click.command("models")
@options.as_json
@options.gateway
def command(as_json: bool, gateway: str | None) -> None:
    """List the models that the swarm serves now.

    SLOTS are the answers that its workers can make at once, BUSY those being made; CONTEXT is how many tokens a prompt
    and its answer may have together.
    """
    asyncio.run(_models(as_json, gateway))


async def _models(as_json: bool, gateway: str | None) -> None:
    from hyperinfer.cli.gateway import way_in
    from hyperinfer.sdk import AsyncClient

    address, key = await way_in(gateway)
    async with AsyncClient(address, api_key=key) as client:
        models = await client.models()
    if as_json:
        show_json(models)
    elif models:
        rows = [(model.id, model.workers, model.slots, model.busy, model.context_tokens) for model in models]
        show_table(("model", "workers", "slots", "busy", "context"), rows)
    else:
        note("No model is served now: no inference worker is ready. `hyperinfer status` shows those of this machine.")
