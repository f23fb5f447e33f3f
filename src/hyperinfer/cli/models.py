"""`hyperinfer models`: what the swarm serves, and the models of this machine."""

from typing import TYPE_CHECKING

import click

from hyperinfer.cli import guesses, models_here, models_placed, models_pull, options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import account_at, asking
from hyperinfer.cli.manner import note, show_json
from hyperinfer.cli.table import show_table

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Model

TITLES = ("model", "state", "workers", "slots", "busy", "queued", "context", "tokens/s", "can")
SPARE = ("can", "context", "queued", "workers", "tokens/s", "busy", "slots")
"""What a narrow terminal can do without, first what is missed least."""


@click.group(
    "models",
    invoke_without_command=True,
    epilog=examples(
        "hyperinfer models",
        "hyperinfer models recommended",
        "hyperinfer models pull Qwen/Qwen3-4B-GGUF:Q4_K_M",
        "hyperinfer models pull ollama:llama3.2",
        "hyperinfer models rm qwen3-4b-q4_k_m",
    ),
)
@options.as_json
@options.gateway
@click.pass_context
def command(context: click.Context, as_json: bool, gateway: str | None) -> None:
    """List the models that the swarm serves now.

    SLOTS are the answers that its workers can make at once, BUSY those being made, QUEUED those that wait; CONTEXT is how
    many tokens a prompt and its answer may have together. A model that is idle is loaded by the first request. The
    commands `pull`, `local`, `rm` and `recommended` are about the models of this machine.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json, gateway=gateway)


@command.command("list", epilog=examples("hyperinfer models list"))
@options.as_json
@options.gateway
def list_models(as_json: bool, gateway: str | None) -> None:
    """List the models that the swarm serves now."""
    _list(as_json=as_json, gateway=gateway)


command.add_command(models_pull.pull)
command.add_command(models_pull.recommended)
command.add_command(models_here.local)
command.add_command(models_here.rm)
command.add_command(models_placed.load)
command.add_command(models_placed.unload)


def _list(*, as_json: bool, gateway: str | None) -> None:
    async def find(client: "AsyncClient") -> "tuple[Model, ...]":
        return await client.models.list()

    models = asking(gateway, find)
    guesses.remember(account_at(gateway).gateway, [model.id for model in models])
    if as_json:
        show_json(models)
    elif models:
        show_table(TITLES, [_line(model) for model in models], spare=SPARE)
    else:
        note("No model is served now: no inference worker is ready. `hyperinfer status` shows those of this machine.")


def _line(model: "Model") -> tuple[object, ...]:
    return (
        model.id,
        model.state,
        model.workers,
        model.slots,
        model.busy,
        model.queued,
        model.context_tokens or "",
        round(model.tokens_per_s, 1) or "",
        f"= {', '.join(model.answered_by)}" if model.answered_by else ", ".join(model.capabilities),
    )
