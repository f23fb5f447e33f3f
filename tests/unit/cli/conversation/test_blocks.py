"""Which part of a Markdown text that is still coming will not change any more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperinfer.cli.conversation.blocks import Block, blocks, finished

TEXT = """# Title

A paragraph
of two lines.

- one
- two
  - within

1. first
2. second

```python
# no heading

- no item
```

| a | b |
|---|---|
| 1 | 2 |

The end.
"""


def test_a_text_in_its_blocks() -> None:
    assert [(block.source.split("\n")[0], block.is_item) for block in blocks(TEXT)] == [
        ("# Title", False),
        ("A paragraph", False),
        ("- one", True),
        ("- two", True),
        ("1. first", True),
        ("2. second", True),
        ("```python", False),
        ("| a | b |", False),
        ("The end.", False),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "A line", "A line\n", "A line\n#", "A line\n\nanother", "```\ncode\n\nmore\n", "- one\n", "\n\n"],
)
def test_what_may_still_change_is_not_finished(text: str) -> None:
    assert finished(text) == ([], text)


def test_a_block_is_finished_by_a_whole_line_of_another() -> None:
    assert finished("# Title\nA line\nnext") == ([Block("# Title")], "A line\nnext")
    assert finished("- one\n- two\n") == ([Block("- one", is_item=True)], "- two\n")
    done, left = finished("A line\n\n```\ncode\n")
    assert ([block.source.strip() for block in done], left) == (["A line"], "```\ncode\n")


pieces = st.sampled_from(
    ["# h", "word ", "\n", "\n\n", "- ", "1. ", "10. ", "```", "`", "| a | b |\n|---|---|\n", "> ", "---", "**", "    ", "<b>", "[x]: y", "é\u4e2d", "\t"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(pieces, max_size=40))
def test_nothing_is_lost_and_nothing_comes_twice_however_it_comes(texts: list[str]) -> None:
    whole = "".join(texts)
    left, said = "", []
    for text in texts:
        done, left = finished(left + text)
        said += [block.source for block in done]
    said += [block.source for block in blocks(left)]
    assert [line.strip() for line in "\n".join(said).split("\n") if line.strip()] == [
        line.strip() for line in whole.split("\n") if line.strip()
    ]
