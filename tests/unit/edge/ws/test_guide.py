"""The guide to `/ws` says what the messages say: every one of them, with every field, and examples that are real ones."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from hyperinfer.contracts import ws
from hyperinfer.edge.ws import conversations, places, session
from hyperinfer.facilities.http import sockets

PAGE = (Path(__file__).parents[4] / "docs" / "guides" / "websocket.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<message>`\w+`)? *\| (?P<fields>[^|]*)\|(?P<rest>.*)\|$", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")
CLIENT, SERVER = get_args(ws.ClientMessage), get_args(ws.ServerMessage)


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def examples(title: str) -> list[str]:
    [block] = re.findall(r"```json\n(.*?)```", section(title), re.DOTALL)
    return [line for line in block.splitlines() if line]


def described(title: str) -> dict[str, set[str]]:
    """By message, the fields that its rows name in their second column."""
    found: dict[str, set[str]] = {}
    message = ""
    for row in ROW.finditer(section(title)):
        message = row["message"].strip("`") if row["message"] else message
        found.setdefault(message, set()).update(NAME.findall(row["fields"]))
    return found


def tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


@pytest.mark.parametrize(("title", "kinds"), [("What you say", CLIENT), ("What you hear", SERVER)])
def test_every_message_is_described_with_every_field(title: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    assert described(title) == {tag(kind): set(kind.__struct_fields__) for kind in kinds}


@pytest.mark.parametrize(("title", "kinds"), [("What you say", CLIENT), ("What you hear", SERVER)])
def test_there_are_examples_of_every_field(title: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    shown: dict[str, set[str]] = {}
    for line in examples(title):
        message = json.loads(line)
        shown.setdefault(message.pop("type"), set()).update(message)
    assert shown == {tag(kind): set(kind.__struct_fields__) for kind in kinds}


@pytest.mark.parametrize("line", examples("What you say"))
def test_an_example_of_a_client_s_is_one(line: str) -> None:
    assert msgspec.json.decode(line, type=ws.ClientMessage)


@pytest.mark.parametrize("line", examples("What you hear"))
def test_an_example_of_the_server_s_is_what_it_would_send(line: str) -> None:
    message = msgspec.json.decode(line, type=ws.ServerMessage)
    assert json.loads(msgspec.json.encode(message)) == json.loads(line)


def test_what_is_inside_is_described_too() -> None:
    inner: list[Any] = [ws.Limits, ws.Usage, ws.Fault]
    for kind in inner:
        assert set(kind.__struct_fields__) <= set(NAME.findall(section("What you hear")))


def test_bounds_and_codes_are_those_of_the_code() -> None:
    ends = section("How a socket ends")
    codes = {int(code) for code in re.findall(r"^\| (\d{4}) \|", ends, re.MULTILINE)}
    ours = {
        getattr(session, name) for name in vars(session) if name.isupper() and isinstance(getattr(session, name), int)
    }
    assert codes == {code for code in ours if code > 1000} | {1007, 1009}
    assert (conversations.MAX_RUNNING, ws.ID_CHARS, places.MAX_OF_PERSON) == (32, 64, 256)
    assert (session.AUTH_S, session.MAX_NONSENSE, sockets.FIRST_BYTES) == (10.0, 10, 16 * 1024)
    assert (sockets.PONG_WITHIN_S, sockets.MAX_UNREAD // 1000, sockets.MAX_FRAGMENTS // 1000) == (60.0, 1, 4)
