"""`hyperinfer chat`: a conversation on the terminal. Ctrl-C stops an answer, Ctrl-D ends the chat."""

import asyncio
import sys

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note


@click.command(
    "chat",
    epilog=examples(
        "hyperinfer chat",
        'hyperinfer chat --model qwen3-4b --system "Answer in one sentence."',
        "hyperinfer chat --gateway hyper://swarm/…",
        "hyperinfer chat < questions.txt > answers.txt",
    ),
)
@options.model
@click.option("--system", metavar="TEXT", help="How the model is to behave.")
@click.option("--plain", is_flag=True, help="Show answers as plain text, not as Markdown.")
@click.option("--no-history", is_flag=True, help="Keep nothing of what is typed.")
@options.gateway
def command(model: str | None, system: str | None, plain: bool, no_history: bool, gateway: str | None) -> None:
    """Talk with a model.

    The answer appears as it is made. Enter sends, Alt-Enter begins a new line, Ctrl-C stops the answer and not the chat,
    Ctrl-D ends the chat; /help lists what else can be typed. Typed lines are kept for the arrow keys, except those with a
    password. Without a terminal each line of standard input is a prompt.
    """
    from hyperinfer.cli.conversation.connection import Connection
    from hyperinfer.cli.conversation.entry import Entry, PipedLines, TypedLines
    from hyperinfer.cli.conversation.history_file import history_file
    from hyperinfer.cli.conversation.showing import shows
    from hyperinfer.cli.conversation.talk import Chat

    with asyncio.Runner() as runner:
        connection = Connection(gateway)
        runner.run(connection.__aenter__())
        try:
            entry: Entry = PipedLines()
            if sys.stdin.isatty():
                entry = TypedLines(runner, None if no_history else history_file())
                if not connection.credential:
                    note(f"You are not logged in at {connection.address}: /login, or /register.")
                note("/help lists the orders, Ctrl-D ends the chat.")
            Chat(runner, connection, entry, shows(plain=plain), model=model, system=system).run()
        finally:
            runner.run(connection.__aexit__(None, None, None))
