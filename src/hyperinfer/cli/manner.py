"""How the command line speaks: results on standard output, everything else on standard error, colours on terminals."""

import math
import shutil
import sys
import textwrap
import unicodedata
from typing import Any

import click
import msgspec

from hyperinfer.errors import HyperinferError, PeerUnreachable, RateLimited, Unauthenticated, Unavailable
from hyperinfer.kernel.config import plain

MIN_COLUMNS = 20
KEPT_CONTROLS = frozenset("\n\t")


def colours() -> bool | None:
    """What click is to do about colours: none if `NO_COLOR` is set, otherwise as the stream is a terminal or not."""
    return False if plain() else None


def say(text: str = "", *, end: str = "\n", **style: Any) -> None:
    """Print a result."""
    click.echo((click.style(text, **style) if style else text) + end, nl=False, color=colours())


def note(text: str, **style: Any) -> None:
    """Print what is not the result itself: progress, hints."""
    click.secho(_wrapped(text), err=True, color=colours(), **(style or {"dim": True}))


def complain(sentence: str) -> None:
    """Print what went wrong."""
    click.secho(_wrapped(printable(sentence)), err=True, color=colours(), fg="red")


def _wrapped(text: str) -> str:
    """Text whose words no terminal breaks; a program gets each line as it is."""
    if not sys.stderr.isatty():
        return text
    columns = max(MIN_COLUMNS, shutil.get_terminal_size().columns)
    lines = (
        textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False, drop_whitespace=True) or [""]
        if len(line) > columns
        else [line]
        for line in text.split("\n")
    )
    return "\n".join(part for line in lines for part in line)


def show_json(content: Any) -> None:
    """Print a result for a script, as indented JSON in snake_case."""
    click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def sentence(error: HyperinferError) -> str:
    """An error, and what to do about it where the command line knows that better than whoever raised it."""
    refused = "status" in error.details
    if isinstance(error, Unavailable) and not refused and error.message.startswith("No gateway"):
        return f"{error.message} Start one with `hyperinfer up`, or name another with --gateway."
    if isinstance(error, PeerUnreachable) and not refused:
        return (
            f"No gateway was reached over the swarm. {error.message} Is it running, and are both machines on a network?"
        )
    if isinstance(error, Unauthenticated) and refused:
        return f"{error.message} `hyperinfer login` opens a new session."
    after_s = error.details.get("retry_after_s")
    if isinstance(error, RateLimited) and after_s and "ry again in" not in error.message:
        return f"{error.message} Try again in {math.ceil(after_s)} s."
    return error.message


def ascii_only() -> bool:
    """Whether the output can show no other characters."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def printable(text: str) -> str:
    """Text of another's making without the control characters that would act on a terminal."""
    return "".join(char for char in text if char in KEPT_CONTROLS or unicodedata.category(char) != "Cc")


def for_output(text: str) -> str:
    """Text of a model's making: made harmless where a terminal shows it, untouched where a program reads it."""
    return printable(text) if sys.stdout.isatty() else text
