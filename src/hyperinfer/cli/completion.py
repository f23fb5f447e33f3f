"""`hyperinfer completion`: what a shell loads to complete our commands."""

import click

from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say

VARIABLE = "_HYPERINFER_COMPLETE"
PLACES = {
    "bash": 'eval "$(hyperinfer completion bash)"          in ~/.bashrc (bash 4.4 or newer)',
    "zsh": 'eval "$(hyperinfer completion zsh)"           in ~/.zshrc, behind compinit',
    "fish": "hyperinfer completion fish > ~/.config/fish/completions/hyperinfer.fish",
}


@click.command(
    "completion",
    epilog=examples(
        'eval "$(hyperinfer completion bash)"',
        "hyperinfer completion fish > ~/.config/fish/completions/hyperinfer.fish",
    ),
)
@click.argument("shell", type=click.Choice(tuple(PLACES)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what completes commands in your SHELL.

    Commands and options are completed, and the values that are known: models of the gateway in use, profiles, worker types.
    """
    import sys

    from click.shell_completion import get_completion_class

    root = context.find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # as the choice says
    completes = kind(root, {}, "hyperinfer", VARIABLE)
    say(completes.source_template % completes.source_vars())
    if sys.stdout.isatty():
        note(f"To have it in every shell:\n  {PLACES[shell]}")
