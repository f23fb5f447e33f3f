"""An answer on a terminal while it is made: Markdown, printed for good block by block.

What is not finished stands below what is, and is drawn anew a few times a second. If it is higher than the window its end is
shown; once it is finished it is printed whole, so that nothing of it is ever lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Heading, ListItem, Markdown, MarkdownElement
from rich.segment import Segment, SegmentLines
from rich.style import Style
from rich.text import Text

from hyperinfer.cli.conversation.blocks import Block, blocks, finished, tokens
from hyperinfer.cli.manner import printable

DRAW_EVERY_S = 0.08
CODE_THEME = "ansi_dark"
"""The terminal's own colours, without a background."""
DIM = Style(dim=True)
WAITING = "…"

Lines = list[list[Segment]]


class PlainHeading(Heading):
    """A heading at the left, in bold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The heading alone: blank lines are the page's."""
        self.text.justify = "left"
        self.text.stylize("bold" if self.tag != "h1" else "bold underline")
        yield self.text


class LoneItem(ListItem):
    """An item of a list that is rendered by itself: its number takes the room that it needs."""

    def render_number(self, console: Console, options: ConsoleOptions, number: int, last_number: int) -> RenderResult:
        """The number and the text, without room for numbers to come."""
        return super().render_number(console, options, number, number)


class ChatMarkdown(Markdown):
    """Markdown as a chat shows it."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": PlainHeading,
        "list_item_open": LoneItem,
    }

    def __init__(self, source: str) -> None:
        super().__init__(source, code_theme=CODE_THEME, hyperlinks=False)
        self.parsed = list(tokens(source))


class Page:
    """One answer, from its first thought to its last word; `thinking` tells what the model has thought so far."""

    def __init__(self, console: Console, thinking: Callable[[], str] = str) -> None:
        self._console = console
        self._thinking_so_far = thinking
        self._has_spoken = False
        self._has_ended = False
        self._tail = ""
        self._last: Block | None = None
        self._live = Live(self, console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Show it for the length of the block; what has come by its end is printed, however it ends."""
        self._live.start()
        drawing = asyncio.ensure_future(self._keep_drawing())
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
            self.close()

    def add(self, piece: str) -> None:
        """A piece of the answer; what it finishes is printed."""
        self._end_thinking()
        done, self._tail = finished(self._tail + printable(piece))
        for block in done:
            self._print(block)

    def draw(self) -> None:
        """Draw what is not finished anew, in one write."""
        self._live.refresh()

    def close(self) -> None:
        """The answer has ended, or is not wanted any more."""
        self._end_thinking()
        tail, self._tail = self._tail, ""
        self._has_ended = True
        self._live.stop()
        for block in blocks(tail):
            self._print(block)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is not finished: as many of its last lines as the window holds."""
        room = max(1, console.height - 2)
        yield SegmentLines(self._unfinished()[-room:], new_lines=True)

    def _unfinished(self) -> Lines:
        thinking = "" if self._has_spoken else printable(self._thinking_so_far())
        if thinking:
            return self._lines(Text(thinking, style=DIM))
        if not self._tail.strip():
            return [] if self._last or self._has_ended else [[Segment(WAITING, DIM)]]
        lines: Lines = []
        before = self._last
        for block in blocks(self._tail):
            lines += self._spaced(block, before)
            before = block
        return lines

    def _print(self, block: Block) -> None:
        lines = self._spaced(block, self._last)
        if lines:
            self._console.print(SegmentLines(lines, new_lines=True), end="")
            self._last = block

    def _end_thinking(self) -> None:
        thinking = "" if self._has_spoken else printable(self._thinking_so_far()).strip()
        self._has_spoken = True
        if thinking:
            self._console.print(SegmentLines([*self._lines(Text(thinking, style=DIM)), []], new_lines=True), end="")

    def _spaced(self, block: Block, before: Block | None) -> Lines:
        """A block's lines, with a blank one above unless it is the first, or an item behind another."""
        lines = self._lines(ChatMarkdown(block.source))
        is_near = before is None or (before.is_item and block.is_item)
        return lines if is_near or not lines else [[], *lines]

    def _lines(self, content: Any) -> Lines:
        lines = self._console.render_lines(content, pad=False)
        while lines and _is_blank(lines[0]):
            lines.pop(0)
        while lines and _is_blank(lines[-1]):
            lines.pop()
        return lines

    async def _keep_drawing(self) -> None:
        while True:
            self.draw()
            await asyncio.sleep(DRAW_EVERY_S)


def _is_blank(line: list[Segment]) -> bool:
    return not "".join(segment.text for segment in line).strip()
