"""`hyperinfer ask`: one question, one answer."""

import asyncio
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import for_output, note, say, show_json
from hyperinfer.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from hyperinfer.sdk import Answer, AnswerStream, ChatOptions, Message

MAX_INPUT_BYTES = 8 * 1024 * 1024
"""What a gateway takes at most."""
MAX_SCHEMA_BYTES = 256 * 1024
SILENCE_S = 1.0
"""How long standard input may be silent before we say that we wait for it."""


@click.command(
    "ask",
    epilog=examples(
        'hyperinfer ask "What is 2 + 2?"',
        'git diff | hyperinfer ask "Review this change:"',
        'hyperinfer ask -f main.py -f notes.md "What is missing?"',
        'hyperinfer ask -f photo.jpg --model qwen2.5-vl "What is this?"',
        'hyperinfer ask --schema answer.json "Name a colour." < /dev/null',
    ),
)
@click.argument("prompt", nargs=-1)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file to ask about: text, or a PNG, JPEG, WebP or GIF. May be repeated.",
)
@options.model
@click.option("--system", metavar="TEXT", help="How the model is to behave.")
@click.option("--max-tokens", metavar="N", type=click.IntRange(1), help="How long the answer may be.")
@click.option("--temperature", metavar="T", type=click.FloatRange(0, 2), help="0 always takes the likeliest word.")
@click.option(
    "--schema", metavar="FILE", type=click.Path(path_type=Path), help="The JSON schema that the answer is to have."
)
@click.option("--no-stream", is_flag=True, help="Print the answer when it is whole.")
@options.as_json
@options.gateway
def command(
    prompt: tuple[str, ...],
    files: tuple[Path, ...],
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    schema: Path | None,
    no_stream: bool,
    as_json: bool,
    gateway: str | None,
) -> None:
    """Ask a model one question.

    Files are put behind the PROMPT, each under its name, and what is piped into the command behind them; with neither
    prompt nor file that is the prompt. The answer goes to standard output as it is made.
    """
    from hyperinfer.cli import attachments

    held = [attachments.read(path, MAX_INPUT_BYTES) for path in files]
    piped = _piped(is_needed=not prompt and not files)
    message = attachments.message(" ".join(prompt), held, piped, limit_bytes=MAX_INPUT_BYTES)
    if message is None:
        raise click.UsageError("There is nothing to ask: give a PROMPT, or pipe one in.")
    wishes: ChatOptions = {"model": model, "system": system, "max_tokens": max_tokens, "temperature": temperature}
    if schema is not None:
        wishes["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": _schema(schema), "strict": True},
        }
    asyncio.run(_ask(message, wishes, whole=no_stream or as_json, as_json=as_json, gateway=gateway))


async def _ask(message: "Message", wishes: "ChatOptions", *, whole: bool, as_json: bool, gateway: str | None) -> None:
    from hyperinfer.cli.gateway import for_models

    async with for_models(gateway) as client:
        if whole:
            answer = await client.chat([message], **wishes)
            show_json(answer) if as_json else say(for_output(answer.text))
        else:
            async with client.stream([message], **wishes) as stream:
                answer = await _print(stream)
    if answer.finish_reason == "length" and not as_json:
        reason = "--max-tokens is reached" if wishes.get("max_tokens") else "the model's context is full"
        note(f"(The answer was cut off: {reason}.)")


async def _print(stream: "AnswerStream") -> "Answer":
    try:
        async for piece in stream:
            say(for_output(piece), end="")
    finally:
        if not stream.answer.text.endswith("\n"):
            say()
    return stream.answer


def _schema(file: Path) -> dict[str, Any]:
    import msgspec

    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SCHEMA_BYTES + 1)
        if len(content) > MAX_SCHEMA_BYTES:
            raise TooLarge(f"{file} is too large for a schema.", limit_bytes=MAX_SCHEMA_BYTES)
        return msgspec.json.decode(content, type=dict[str, Any])
    except OSError as error:
        raise BadRequest(f"Cannot read {file}: {error.strerror}.", param="schema") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"{file} is no JSON schema: {error}.", param="schema") from error


def _piped(*, is_needed: bool) -> str:
    """What was piped or redirected in; a terminal is asked only if there is nothing else."""
    if sys.stdin is None or sys.stdin.closed:
        return ""
    source = sys.stdin.fileno()
    mode = stat.S_ISFIFO, stat.S_ISREG, stat.S_ISSOCK
    if not is_needed and not any(is_kind(_mode(source)) for is_kind in mode):
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
