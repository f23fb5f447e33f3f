"""Messages of parts: texts and images."""

import base64
from pathlib import Path

import pytest

from hyperinfer.errors import BackendFailed, BadRequest, TooLarge
from hyperinfer.sdk import Answer, Message, ToolCall, image, text
from hyperinfer.sdk.messages import MAX_IMAGE_BYTES
from hyperinfer.sdk.requests import chat_body

PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF89arest", "image/gif"),
        (b"RIFF....WEBPrest", "image/webp"),
    ],
)
def test_an_image_goes_inside_the_message(content: bytes, media: str) -> None:
    url = image(content)["image_url"]["url"]
    assert url == f"data:{media};base64,{base64.b64encode(content).decode()}"


def test_an_image_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    assert image(file) == image(PNG)
    with pytest.raises(FileNotFoundError):
        image(tmp_path / "dog.png")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"RIFF....WAVE", b"<svg>"])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest, match="PNG, JPEG"):
        image(content)


def test_an_image_that_no_gateway_takes_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    file.write_bytes(PNG + bytes(MAX_IMAGE_BYTES))
    with pytest.raises(TooLarge):
        image(file)


def test_a_conversation_of_every_kind_of_message() -> None:
    answer = Answer(text="", model="m", tool_calls=(ToolCall("c1", "now", "{}"),))
    conversation: list[Message] = [
        {"role": "user", "content": [text("What is this, and when?"), image(PNG)]},
        answer.message,
        {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
    ]
    assert chat_body(conversation, {}, stream=False) == {"messages": conversation}
    assert Answer(text="Noon.", model="m").message == {"role": "assistant", "content": "Noon."}


@pytest.mark.parametrize("arguments", ["[1]", "{", '"a"'])
def test_arguments_that_are_no_object_are_a_failure_of_the_model(arguments: str) -> None:
    with pytest.raises(BackendFailed, match="add"):
        ToolCall("c", "add", arguments).parsed()
