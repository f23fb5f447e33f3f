"""However a stream is cut into pieces, the same events come out of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol.sse import EventReader

texts = st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b".").replace(b"\r", b"."))
ends = st.sampled_from([b"\n", b"\r\n"])
events = st.lists(st.lists(texts, min_size=1, max_size=3), max_size=6)


@given(events, ends, st.lists(st.integers(0, 400), max_size=12))
def test_pieces_do_not_matter(wanted: list[list[bytes]], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"".join(b"data: " + line + end for line in lines) + end for lines in wanted)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader = EventReader()
    found = [event for start, stop in pairwise(places) for event in reader.feed(stream[start:stop])]
    assert found == [b"\n".join(lines) for lines in wanted]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_confuse_it(pieces: list[bytes]) -> None:
    one, other = EventReader(), EventReader()
    found = [event for piece in pieces for event in one.feed(piece)]
    assert found == other.feed(b"".join(pieces))
