"""`hyperinfer models local` and `rm`: the models' folder of this machine."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.table import show_table
from hyperinfer.kernel import config
from hyperinfer.kernel.paths import models_folder


@click.command("local", epilog=examples("hyperinfer models local"))
@options.as_json
def local(as_json: bool) -> None:
    """List the models in this machine's folder.

    Those that are not all here yet are shown with how much of them is.
    """
    from hyperinfer.workers.inference.hub.pull import gigabytes
    from hyperinfer.workers.inference.hub.shelf import Kept, kept

    def state(model: Kept) -> str:
        return "here" if model.is_whole else f"{100 * model.size_bytes // model.whole_bytes} % pulled"

    root = models_folder(config.home())
    models = kept(root)
    if as_json:
        show_json(
            [
                {
                    "model": model.name,
                    "is_whole": model.is_whole,
                    "size_bytes": model.size_bytes,
                    "whole_bytes": model.whole_bytes,
                    "repo": model.source or None,
                    "files": [str(path) for path in model.files],
                }
                for model in models
            ]
        )
    elif models:
        show_table(
            ("model", "state", "size", "from"),
            [(model.name, state(model), gigabytes(model.whole_bytes), model.source) for model in models],
        )
    else:
        note(f"There is no model in {root}. `hyperinfer models pull` lists some that are good.")


@click.command("rm", epilog=examples("hyperinfer models rm qwen3-4b-q4_k_m"))
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(name: str, yes: bool) -> None:
    """Remove a model from this machine's folder.

    With what has come of it so far, if it is not all here. Workers that run it stop serving it.
    """
    from hyperinfer.workers.inference.hub.pull import gigabytes
    from hyperinfer.workers.inference.hub.shelf import find, remove

    root = models_folder(config.home())
    model = find(root, name)
    if not yes:
        click.confirm(f"Remove {model.name} ({gigabytes(model.size_bytes)}) from {root}?", abort=True, err=True)
    remove(root, name)
    say(f"{model.name} is removed.")
