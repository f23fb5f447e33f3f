"""Frames to and from the driver: whatever goes in comes out, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.errors import InternalError
from hyperinfer.protocol.frames import MAX_FRAME_BYTES, Op, Reader, encode

UINT32 = st.integers(min_value=0, max_value=2**32 - 1)
FRAME = st.tuples(st.sampled_from(list(Op)), UINT32, UINT32, st.text(max_size=40), st.binary(max_size=300))


def read(pieces: list[bytes]) -> list[tuple[int, int, int, str, bytes]]:
    found: list[tuple[int, int, int, str, bytes]] = []
    reader = Reader(lambda *frame: found.append(frame))
    for piece in pieces:
        reader.push(piece)
    return found


@given(st.lists(FRAME, max_size=20), st.lists(st.integers(min_value=1, max_value=50), max_size=60))
def test_frames_survive_any_cutting(frames: list[tuple[Op, int, int, str, bytes]], cuts: list[int]) -> None:
    data = b"".join(encode(*frame) for frame in frames)
    pieces, at = [], 0
    for size in cuts:
        pieces.append(data[at : at + size])
        at += size
    assert read([*pieces, data[at:]]) == frames


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_waited_for(data: bytes) -> None:
    """What is no frame of ours ends in an error and never in a buffer without end."""
    try:
        read([data])
    except InternalError:
        return


@pytest.mark.parametrize("size", [0, 10, MAX_FRAME_BYTES + 1])
def test_a_length_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(InternalError):
        read([size.to_bytes(4, "little") + bytes(20)])
