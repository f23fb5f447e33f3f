"""What counts as the same output, where numbers and ids differ from run to run."""

import pytest
from tests.docs.pages import blocks
from tests.docs.shape import missing


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("net.bootstrap=192.168.1.10:49737", "net.bootstrap=127.0.0.1:4000"),
        ("API  http://127.0.0.1:3000/v1", "API       http://127.0.0.1:40001/v1"),
        ("key  hi_…", "key       hi_abc_def"),
        ("a … z", "a b c z"),
        ("DAY   REQUESTS\n2026-11-21   4", "DAY         REQUESTS\n2027-01-01  1"),
    ],
)
def test_what_differs_in_numbers_is_the_same(shown: str, said: str) -> None:
    assert missing(shown, said) == []


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("unsupported_parameter tools", "unsupported_parameter model"),
        ("DAY   REQUESTS\n2026-11-21   4", "DAY   ERRORS\n2026-11-21   4"),
        ("DAY   REQUESTS\n2026-11-21   4", "DAY   REQUESTS"),
        ("two\nthree", "two"),
    ],
)
def test_what_is_not_said_is_missed(shown: str, said: str) -> None:
    assert missing(shown, said)


def test_a_page_falls_into_blocks() -> None:
    text = "# A\n\n```sh\nx\n```\n\n```text\ny\n```\n\nand\n\n<!-- not run: needs a moon -->\n```sh\nz\n```\n"
    found = list(blocks(text))
    assert [(one.language, one.text, one.note, one.said, one.follows) for one in found] == [
        ("sh", "x\n", "", "", False),
        ("text", "y\n", "", "", True),
        ("sh", "z\n", "not run", "needs a moon", False),
    ]
