"""`hyperinfer ask`: one question, one answer."""

import asyncio
import select
import stat
import sys

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import for_output, note, say, show_json
from hyperinfer.errors import TooLarge

MAX_INPUT_BYTES = 8 * 1024 * 1024
"""What a gateway takes at most."""
SILENCE_S = 1.0
"""How long standard input may be silent before we say that we wait for it."""


@click.command(
    "ask",
    epilog=examples(
        'hyperinfer ask "What is 2 + 2?"',
        'git diff | hyperinfer ask "Review this change:"',
        'hyperinfer ask --json "Name a colour." < /dev/null',
    ),
)
@click.argument("prompt", nargs=-1)
@click.option("--model", metavar="NAME", help="The model to ask; `hyperinfer models` lists them.")
@click.option("--system", metavar="TEXT", help="How the model is to behave.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is whole.")
@options.as_json
@options.gateway
def command(
    prompt: tuple[str, ...], model: str | None, system: str | None, no_stream: bool, as_json: bool, gateway: str | None
) -> None:
    """Ask a model one question.

    What is piped into the command is put behind the PROMPT, or is the prompt if there is none. The answer goes to
    standard output as it is made.
    """
    question = "\n\n".join(part for part in (" ".join(prompt), _piped(prompt)) if part.strip())
    if not question:
        raise click.UsageError("There is nothing to ask: give a PROMPT, or pipe one in.")
    asyncio.run(_ask(question, model, system, whole=no_stream or as_json, as_json=as_json, gateway=gateway))


async def _ask(
    question: str, model: str | None, system: str | None, *, whole: bool, as_json: bool, gateway: str | None
) -> None:
    from hyperinfer.cli.gateway import way_in
    from hyperinfer.sdk import AsyncClient

    address, key = await way_in(gateway)
    async with AsyncClient(address, api_key=key) as client:
        if whole:
            answer = await client.chat(question, model=model, system=system)
            show_json(answer) if as_json else say(for_output(answer.text))
        else:
            async with client.stream(question, model=model, system=system) as stream:
                try:
                    async for piece in stream:
                        say(for_output(piece), end="")
                finally:
                    say()
            answer = stream.answer
    if answer.finish_reason == "length" and not as_json:
        note("(The answer was cut off: the model's context is full.)")


def _piped(prompt: tuple[str, ...]) -> str:
    """What was piped or redirected in; a terminal is asked only if there is no prompt."""
    if sys.stdin is None or sys.stdin.closed:
        return ""
    source = sys.stdin.fileno()
    mode = stat.S_ISFIFO, stat.S_ISREG, stat.S_ISSOCK
    if prompt and not any(is_kind(_mode(source)) for is_kind in mode):
        return ""
    if sys.stdin.isatty():
        note("Type your question; Ctrl-D ends it.")
    elif sys.platform != "win32" and not select.select([source], [], [], SILENCE_S)[0]:
        note("Waiting for standard input to end …")
    content = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(content) > MAX_INPUT_BYTES:
        raise TooLarge("The input is too large: a gateway takes 8 MB at most.", limit_bytes=MAX_INPUT_BYTES)
    return content.decode(errors="replace")


def _mode(descriptor: int) -> int:
    import os

    return os.fstat(descriptor).st_mode
