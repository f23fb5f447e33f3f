"""Files in a question."""

import json
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.cli import ask
from hyperinfer.cli.attachments import quote
from hyperinfer.testing.gateway import FakeGateway

from .conftest import Command

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30

pytestmark = pytest.mark.usefixtures("url")


def asked(gateway: FakeGateway) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(gateway.calls[-1][1].body))
    return body


def test_a_text_is_quoted_under_its_name_between_prompt_and_what_is_piped(
    command: Command, gateway: FakeGateway, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text("a = 1")
    command("ask", "-f", str(tmp_path / "main.py"), "Review:", stdin="and this")
    assert asked(gateway)["messages"][-1]["content"] == "Review:\n\nmain.py:\n```\na = 1\n```\n\nand this"


def test_a_fence_is_longer_than_those_within() -> None:
    assert quote("a.md", "````\nx\n````\n") == "a.md:\n`````\n````\nx\n````\n`````"


def test_an_image_is_a_part_of_its_own(command: Command, gateway: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    command("ask", "--file", str(tmp_path / "a.png"), "What is this?")
    text, image = asked(gateway)["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0K")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.bin", b"\x00\x01", "neither text nor an image"),
        ("a.pdf", b"%PDF-1.7\xff", "neither text nor an image"),
        ("b.png", b"\x89PNG\r\n\x1a\n" + b"0" * (7 * 1024 * 1024), "larger than 6 MiB"),
        ("none", None, "No such file"),
    ],
)
def test_what_cannot_be_asked_about_is_said_by_its_name(
    command: Command, gateway: FakeGateway, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = command("ask", "-f", str(tmp_path / name), "hi")
    assert done.code == 1
    assert name in done.err
    assert said in done.err
    assert gateway.calls == []


def test_all_of_it_together_is_bounded(
    command: Command, gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "MAX_INPUT_BYTES", 100)
    (tmp_path / "a.txt").write_text("x" * 60)
    assert command("ask", "-f", str(tmp_path / "a.txt"), "hi").code == 0
    assert "too large" in command("ask", "-f", str(tmp_path / "a.txt"), "-f", str(tmp_path / "a.txt")).err
    assert len(gateway.calls) == 1


def test_wishes_go_along(command: Command, gateway: FakeGateway, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')
    command("ask", "--max-tokens", "7", "--temperature", "0", "--schema", str(tmp_path / "s.json"), "hi")
    body = asked(gateway)
    assert (body["max_tokens"], body["temperature"]) == (7, 0)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    (tmp_path / "s.json").write_text("no")
    assert "no JSON schema" in command("ask", "--schema", str(tmp_path / "s.json"), "hi").err
    assert command("ask", "--temperature", "3", "hi").code == 2
