"""`hyperinfer models pull` and `recommended`: models for this machine, and how they come here."""

import asyncio

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import load
from hyperinfer.cli.progress import showing
from hyperinfer.cli.table import show_table
from hyperinfer.kernel import config
from hyperinfer.kernel.paths import models_folder

OLLAMA = "ollama:"
FITS = {"yes": "yes", "tight": "if others give memory up", "no": "no"}


@click.command(
    "pull",
    short_help="Fetch a model for the workers of this machine.",
    epilog=examples(
        "hyperinfer models pull",
        "hyperinfer models pull Qwen/Qwen3-4B-GGUF",
        "hyperinfer models pull Qwen/Qwen3-4B-GGUF:Q8_0",
        "hyperinfer models pull Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q5_K_M.gguf",
        "hyperinfer models pull ollama:llama3.2",
    ),
)
@click.argument("name", metavar="[MODEL]", required=False)
@click.option("--revision", metavar="REV", help="A branch, tag or commit of the repository; its main branch otherwise.")
@click.option("--mmproj", "with_projector", is_flag=True, help="Also the file with which the model reads images.")
@options.as_json
def pull(name: str | None, revision: str | None, with_projector: bool, as_json: bool) -> None:
    """Fetch a model from a model hub into the models' folder.

    MODEL is a repository of the hub, with :QUANTISATION or /FILE behind it; otherwise Q4_K_M is taken, or what is nearest to
    it. A model in several files comes whole. What is interrupted goes on with the next pull. A file
    gets its name once its hash is right; running workers find it by themselves. HF_ENDPOINT names another hub, HF_TOKEN
    opens private repositories. `ollama:NAME` has Ollama pull into its own store instead. Without MODEL it lists
    recommended ones.
    """
    if name is None:
        _recommend(as_json=as_json)
    elif name.startswith(OLLAMA):
        if revision or with_projector:
            raise click.UsageError("--revision and --mmproj are for the model hub, not for Ollama.")
        _by_ollama(name.removeprefix(OLLAMA), as_json=as_json)
    else:
        _from_hub(name, revision, with_projector=with_projector, as_json=as_json)


@click.command("recommended", epilog=examples("hyperinfer models recommended"))
@options.as_json
def recommended(as_json: bool) -> None:
    """List good models by the memory that they need.

    And whether they fit this machine.
    """
    _recommend(as_json=as_json)


def _from_hub(name: str, revision: str | None, *, with_projector: bool, as_json: bool) -> None:
    from hyperinfer.workers.inference.hub.wanted import parse

    wanted = parse(name)
    from hyperinfer.workers.inference.hub.client import Hub  # takes a while to import: after what is quickly wrong
    from hyperinfer.workers.inference.hub.pull import Pull, gigabytes

    root = models_folder(config.home())
    endpoint, token = config.hub()
    try:
        with showing() as progress:
            pulled = Pull(Hub(endpoint, token), root, progress).run(
                wanted, revision=revision, with_projector=with_projector
            )
    except KeyboardInterrupt:
        note(f"Interrupted. What has come is kept: `hyperinfer models pull {name}` goes on with it.")
        raise
    if as_json:
        show_json(
            {
                "model": pulled.model,
                "repo": pulled.repo,
                "commit": pulled.commit,
                "files": [str(path) for path in pulled.files],
                "size_bytes": pulled.size_bytes,
                "fetched_bytes": pulled.fetched_bytes,
            }
        )
        return
    say(f"{pulled.model} is in {pulled.files[0].parent} ({gigabytes(pulled.size_bytes)}).")
    if not pulled.fetched_bytes:
        note("It was there already.")
    note("Inference workers of this machine serve it within seconds. `hyperinfer models` lists what the swarm serves.")


def _by_ollama(name: str, *, as_json: bool) -> None:
    from hyperinfer.workers.inference.hub import ollama

    settings = load("inference").settings.ollama
    headers = {**settings.headers, **({"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {})}
    with showing() as progress:
        size_bytes = asyncio.run(ollama.pull(settings.url, name, progress, headers=headers))
    if as_json:
        show_json({"model": name, "size_bytes": size_bytes})
    else:
        say(f"Ollama has {name}.")
        note("Workers that use this Ollama serve it within seconds.")


def _recommend(*, as_json: bool) -> None:
    from hyperinfer.workers.inference.hub.pull import gigabytes
    from hyperinfer.workers.inference.hub.recommended import memory, recommended

    listed = recommended()
    available, total = memory()
    if as_json:
        rows = [
            {**{name: getattr(one, name) for name in one.__struct_fields__}, "fits": one.fits(available, total)}
            for one in listed.models
        ]
        show_json({"as_of": listed.as_of, "memory_bytes": total, "available_bytes": available, "models": rows})
        return
    show_table(
        ("pull", "for", "size", "memory", "fits", "licence"),
        [
            (
                one.pull,
                one.good_for,
                gigabytes(one.file_bytes),
                gigabytes(one.memory_bytes),
                FITS[one.fits(available, total)],
                one.licence,
            )
            for one in listed.models
        ],
    )
    note(
        f"As of {listed.as_of}, from what is published of them; not tried here. Sizes are approximate, and memory is with some "
        f"thousand tokens of context. This machine has {gigabytes(total)}, {gigabytes(available)} of it free; a GPU's memory is "
        "not counted. `hyperinfer models pull NAME` fetches one."
    )
