"""What people type, as requests and addresses."""

import pytest

from hyperinfer.errors import BadRequest
from hyperinfer.sdk.requests import base_url, chat_body


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("http://127.0.0.1:3000/v1/", "http://127.0.0.1:3000"),
        ("localhost:3000", "http://localhost:3000"),
        ("https://AI.Example/under/v1", "https://ai.example/under"),
        (" http://[::1]:3000 ", "http://[::1]:3000"),
        (f" HYPER://{'AB' * 32} ", f"hyper://{'ab' * 32}"),
        (f"hyper://swarm/{'ab' * 32}/{'CD' * 32}", f"hyper://swarm/{'ab' * 32}/{'cd' * 32}"),
    ],
)
def test_an_address_is_written_in_one_way(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "ftp://host", "http://", "http://user:pass@host", "http://host?x=1", "http://h:notaport", "http://[::1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="looks like"):
        base_url(text)


@pytest.mark.parametrize("text", ["hyper://", "hyper://ab", f"hyper://swarm/{'ab' * 32}"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="A link is"):
        base_url(text)


def test_a_prompt_becomes_a_message_behind_the_system_message() -> None:
    body = chat_body("hi", {"system": "Be brief.", "model": None, "seed": 0, "extra": {"top_p": 0.5}}, stream=False)
    assert body == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "top_p": 0.5,
        "seed": 0,
    }


def test_a_stream_asks_for_its_usage() -> None:
    body = chat_body([{"role": "user", "content": "hi"}], {"model": "m"}, stream=True)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("prompt", ["", "  \n", []])
def test_an_empty_prompt_is_refused_before_it_is_sent(prompt: str | list[object]) -> None:
    with pytest.raises(BadRequest, match="empty"):
        chat_body(prompt, {}, stream=False)  # type: ignore[arg-type]  # an empty list of whatever
