"""`hyperinfer help COMMAND`: what `hyperinfer COMMAND --help` shows."""

import click

from hyperinfer.cli.examples import examples


@click.command("help", epilog=examples("hyperinfer help", "hyperinfer help keys create"))
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def command(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, or what commands there are."""
    shown = context.find_root()
    for word in words:
        group = shown.command
        child = group.get_command(shown, word) if isinstance(group, click.Group) else None
        if child is None:
            known = group.list_commands(shown) if isinstance(group, click.Group) else []
            raise click.exceptions.NoSuchCommand(word, possibilities=known, ctx=shown)
        shown = click.Context(child, info_name=word, parent=shown)
    click.echo(shown.get_help())
