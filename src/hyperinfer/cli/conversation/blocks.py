"""Markdown in pieces: which part of a text that is still coming will not change any more. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_parser = (
    MarkdownIt("commonmark")
    .enable(["table", "strikethrough"])
    # What Markdown would hide is shown as it stands: tags, and the definitions of links.
    .disable(["html_block", "html_inline", "reference"])
)


def tokens(text: str) -> Sequence[Token]:
    """What Markdown makes of a text."""
    return _parser.parse(text)


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading, a table, a piece of code, or one item of a list."""

    source: str
    is_item: bool = False


def finished(text: str) -> tuple[list[Block], str]:
    """The blocks that are complete, because another has begun behind them, and the text that is left."""
    whole, _, begun = text.rpartition("\n")
    if not whole:
        return [], text
    # Only what begins with a whole line ends a block: a lone # may become a #word of the paragraph.
    lines = whole.split("\n")
    starts = _starts(whole)
    if len(starts) < 2:
        return [], text
    done = [Block("\n".join(lines[at:until]), is_item) for (at, is_item), (until, _) in pairwise(starts)]
    left = "\n".join(lines[starts[-1][0] :])
    return done, f"{left}\n{begun}"


def blocks(text: str) -> list[Block]:
    """All blocks of a text that is complete."""
    lines = text.split("\n")
    starts = [*_starts(text), (len(lines), False)]
    return [Block("\n".join(lines[at:until]), is_item) for (at, is_item), (until, _) in pairwise(starts)]


def _starts(text: str) -> list[tuple[int, bool]]:
    """The lines with which blocks begin, and whether each is an item of a list."""
    found = []
    for token in tokens(text):
        is_list = token.type in ("bullet_list_open", "ordered_list_open")
        is_item = token.type == "list_item_open" and token.level == 1
        if token.map is not None and ((token.level == 0 and token.nesting >= 0 and not is_list) or is_item):
            found.append((token.map[0], is_item))
    return found
