"""How answers appear: as plain text for programs and plain terminals, as Markdown for others."""

import sys
import time
from typing import TYPE_CHECKING, Protocol

from hyperinfer.cli.manner import for_output, note, say
from hyperinfer.kernel.config import plain as without_colours

if TYPE_CHECKING:
    from rich.console import Console

    from hyperinfer.sdk import Answer, AnswerStream


class Shows(Protocol):
    """Shows answers, one after the other."""

    async def __call__(self, stream: "AnswerStream") -> float:
        """Show an answer to its end; when its first word came, by the monotonic clock."""
        ...

    def footer(self, answer: "Answer", *, began: float, first_at: float, ended: float) -> None:
        """Say how long an answer took, where a person wants to know."""
        ...


class PlainText:
    """The text as it comes, and nothing else where a program reads it."""

    async def __call__(self, stream: "AnswerStream") -> float:
        """Print each piece."""
        first_at = 0.0
        try:
            async for piece in stream:
                first_at = first_at or time.monotonic()
                say(for_output(piece), end="")
        finally:
            if not stream.answer.text.endswith("\n"):
                say()
        return first_at

    def footer(self, answer: "Answer", *, began: float, first_at: float, ended: float) -> None:
        """A dim line on a terminal."""
        if sys.stdout.isatty():
            note(told(answer, began=began, first_at=first_at, ended=ended))


class MarkdownText(PlainText):
    """Markdown, rendered as it comes; what the model thinks before it speaks is dim."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    async def __call__(self, stream: "AnswerStream") -> float:
        """Draw it until it is whole."""
        from hyperinfer.cli.conversation.echo import silent
        from hyperinfer.cli.conversation.page import Page

        first_at = 0.0
        page = Page(self._console, thinking=lambda: stream.answer.thinking)
        with silent():
            async with page.open():
                async for piece in stream:
                    first_at = first_at or time.monotonic()
                    page.add(piece)
        return first_at


def shows(*, plain: bool) -> Shows:
    """What suits the output: Markdown on a terminal that can move its cursor, unless plain text is wanted."""
    if plain or not sys.stdout.isatty():
        return PlainText()
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, no_color=without_colours() or None)
    return PlainText() if console.is_dumb_terminal else MarkdownText(console)


def told(answer: "Answer", *, began: float, first_at: float, ended: float) -> str:
    """Which model it was, how much it wrote, and how fast: in all, and from its first word on."""
    tokens = answer.usage.completion_tokens
    said = [answer.model] if answer.model else []
    if tokens:
        said.append(f"{tokens:,} tokens")
    said.append(f"{ended - began:.1f} s")
    if tokens > 1 and ended > first_at > 0:
        said.append(f"{(tokens - 1) / (ended - first_at):.1f} tokens/s")
    return " · ".join(said)
