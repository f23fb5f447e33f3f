"""Events out of bytes: what the format allows, and a stream that does not end its event."""

import pytest

from hyperinfer.errors import TooLarge
from hyperinfer.protocol import sse
from hyperinfer.protocol.sse import EventReader


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\r\n\r\n", [b"one"]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  one\n\n", [b" one"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": comment\nevent: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data\ndata: a\n\n", [b"a"]),
        (b"data: unfinished\n", []),
        (b"", []),
    ],
)
def test_events(stream: bytes, events: list[bytes]) -> None:
    assert EventReader().feed(stream) == events


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: " + b"x" * 94 + b"\n"])
def test_an_event_that_does_not_end_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    reader = EventReader()
    for _ in range(10):
        assert reader.feed(piece) == []
    with pytest.raises(TooLarge):
        reader.feed(piece)
