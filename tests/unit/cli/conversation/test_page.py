"""An answer as it appears on a terminal: whole at its end, whatever was drawn meanwhile."""

import io

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from hyperinfer.cli.conversation.page import Page

COLUMNS, ROWS = 44, 8
ANSWER = """# Title

Some **bold** text that is longer than the terminal is wide, so that it goes over several lines of it.

1. first
2. second, of which there is more than one line has room for
3. third

```python
def f():
    return "[not markup]"
```

| name | number |
|------|--------|
| a    | 1      |

<b>no tag is swallowed</b> [nor]: a definition

> quoted

The end
"""


class Window:
    """A terminal with its history, and a page on it."""

    def __init__(self, *, thinking: str = "") -> None:
        self._file = io.StringIO()
        console = Console(file=self._file, force_terminal=True, width=COLUMNS, height=ROWS, highlight=False)
        self.page = Page(console, lambda: thinking)
        self.page._live.start()

    @property
    def raw(self) -> str:
        return self._file.getvalue()

    def lines(self) -> list[str]:
        """What a person can read, scrolling up."""
        screen = pyte.HistoryScreen(COLUMNS, ROWS, history=10_000)
        pyte.Stream(screen).feed(self.raw.replace("\n", "\r\n"))
        above = ["".join(line[at].data for at in range(COLUMNS)) for line in screen.history.top]
        text = [line.rstrip() for line in (*above, *screen.display)]
        while text and not text[-1]:
            text.pop()
        return text


def shown(pieces: list[str], *, thinking: str = "") -> list[str]:
    window = Window(thinking=thinking)
    for piece in pieces:
        window.page.add(piece)
        window.page.draw()
    window.page.close()
    return window.lines()


def test_an_answer_is_rendered_and_nothing_of_it_is_swallowed() -> None:
    lines = shown([ANSWER])
    text = "\n".join(lines)
    assert lines[:2] == ["Title", ""]
    assert "**" not in text
    assert " 1 first" in lines
    assert '    return "[not markup]"' in text
    assert "<b>no tag is swallowed</b> [nor]: a" in text
    assert lines[-1] == "The end"
    assert all(lines[at] or lines[at + 1] for at in range(len(lines) - 1)), "two blank lines"


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_however_it_comes_it_looks_the_same_in_the_end(size: int) -> None:
    pieces = [ANSWER[at : at + size] for at in range(0, len(ANSWER), size)]
    assert shown(pieces) == shown([ANSWER])


def test_a_block_that_is_higher_than_the_window_is_whole_in_the_end() -> None:
    code = "```\n" + "".join(f"line {n}\n" for n in range(3 * ROWS)) + "```\n"
    lines = shown(code.splitlines(keepends=True))
    assert [line.strip() for line in lines] == [f"line {n}" for n in range(3 * ROWS)]


words = st.sampled_from(["word ", "another ", "\n", "\n\n", "- item ", "`code` ", "**b** ", "```\n", "# h\n", "中文 "])


@settings(max_examples=40, deadline=None)
@given(st.lists(words, max_size=60))
def test_no_word_is_lost_or_shown_twice(pieces: list[str]) -> None:
    assert shown(pieces) == shown(["".join(pieces)])


def test_what_has_come_is_there_while_more_is_to_come() -> None:
    window = Window()
    window.page.draw()
    assert window.lines() == ["…"]
    window.page.add("half a sen")
    window.page.draw()
    assert window.lines() == ["half a sen"]


def test_nobody_is_told_to_wait_for_what_has_come() -> None:
    window = Window()
    window.page.add("Four.")
    window.page.close()
    assert "…" not in window.raw


def test_thoughts_come_first_and_are_dim() -> None:
    window = Window(thinking="Let me see.")
    window.page.draw()
    assert window.lines() == ["Let me see."]
    window.page.add("Four.")
    window.page.close()
    assert window.lines() == ["Let me see.", "", "Four."]
    assert "\x1b[2mLet me see.\x1b[0m" in window.raw


def test_thoughts_alone_stay() -> None:
    assert shown([], thinking="Only thought.") == ["Only thought."]


def test_nothing_acts_on_the_terminal() -> None:
    window = Window()
    window.page.add("a\x1b]0;title\x07b \x9b31mred [link](http://x) end\n")
    window.page.close()
    assert "\x1b]" not in window.raw
    assert "\x9b" not in window.raw
    assert "(http://x)" in "".join(window.lines())
