"""Asking and talking, as it looks: Markdown, colours or none, narrow windows, Ctrl-C in the middle."""

import time

import pytest
from tests.e2e.conftest import ran

from .conftest import Env
from .recorded import CTRL_C, CTRL_D, Recorded

pytestmark = pytest.mark.slow

PROMPT = r"^>$"
AGAIN = r"tokens/s\n>$"
NEW_LINE = "\x1b\r"
MARKDOWN = NEW_LINE.join(["# Fruit", "- apple", "- **pear**"])


def test_markdown_is_shown_as_it_is_meant(echoing: Env) -> None:
    with Recorded("chat", env=echoing) as chat:
        chat.until(PROMPT)
        chat.type(f"{MARKDOWN}\r")
        chat.until(AGAIN)
        answer = chat.text.partition("  - **pear**\n")[2]
        assert "Fruit" in answer
        assert " • apple\n • pear\n" in answer
        assert "**" not in answer
        chat.type("/retry\r")
        chat.until(r"(?s)/retry.*tokens/s\n>$")
        assert chat.text.count(" • pear") == 2
        chat.type(CTRL_D)
        assert chat.ended() == 0
        chat.left_well()


@pytest.mark.parametrize(("columns", "lines"), [(40, 15), (60, 20), (200, 50)], ids=["40x15", "60x20", "200x50"])
def test_no_word_of_an_answer_is_broken_by_the_edge(echoing: Env, columns: int, lines: int) -> None:
    words = "These are quite ordinary words, which a window of any width ought to show as they are. " * 4
    with Recorded("chat", env=echoing, columns=columns, lines=lines) as chat:
        chat.until(PROMPT)
        chat.type(f"{words.strip()}\r")
        chat.until(r"tokens/s\n>$|tokens/s$\n^>$|\ntokens/s\n>$")
        answer = chat.text.rpartition("\n>")[0]
        said = [word.strip(".,") for line in answer.splitlines()[-len(words) // columns :] for word in line.split()]
        assert {"ordinary", "window", "ought"} <= set(said)
        chat.type("/exit\r")
        assert chat.ended() == 0
        chat.left_well()


def test_ctrl_c_stops_the_answer_and_the_next_one_comes(talking: Env) -> None:
    with Recorded("chat", env=talking) as chat:
        chat.until(PROMPT)
        for number in (1, 2):
            chat.type("talk\r")
            chat.until(rf"(?s)(word1 word2.*){{{number}}}")
            chat.type(CTRL_C)
            chat.until(rf"(?s)(\(stopped\).*){{{number}}}\n>$", 5)
        chat.type(CTRL_D)
        assert chat.ended() == 0
        chat.left_well()


def test_ctrl_c_ends_ask_at_once(talking: Env) -> None:
    with Recorded("ask", "talk", env=talking) as ask:
        began = time.monotonic()
        assert ask.interrupt("word1 word2") == 130
        assert time.monotonic() - began < 10
        ask.left_well()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_none_are_wanted(echoing: Env, name: str, value: str) -> None:
    with Recorded("chat", env=echoing | {name: value}) as chat:
        chat.until(PROMPT)
        chat.type("plain words\r")
        chat.until(AGAIN)
        assert chat.colours() == set()
        chat.type("/exit\r")
        assert chat.ended() == 0
        chat.left_well()


def test_what_is_piped_in_and_out_is_bare(echoing: Env) -> None:
    asked = ran("ask", "Say:", env=echoing, stdin="**bold** words\n")
    assert asked.returncode == 0
    assert "**bold** words" in asked.stdout
    assert "\x1b" not in asked.stdout + asked.stderr
    talked = ran("chat", "--plain", env=echoing, stdin="first\nsecond\n")
    assert [line for line in talked.stdout.splitlines() if line] == ["first", "second"]
