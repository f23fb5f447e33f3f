"""What is gathered of an answer is the answer, it survives as bytes, and strangers can read none of it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from hyperinfer.contracts.openai import ChunkChoice, Delta
from hyperinfer.workers.inference.backends import Embedded, End
from hyperinfer.workers.inference.cache import CacheKey, Recording, Said
from hyperinfer.workers.inference.cache.kept import decoded, encoded
from hyperinfer.workers.inference.cache.sealed import SEAL_BYTES, seal, unseal

END = End.of("stop", 3, 2)
KEY = CacheKey("name", b"k" * 32)

texts = st.text(max_size=20)
raws = st.sampled_from((UNSET, Raw(b'[{"index":0}]'), Raw(b"null")))
deltas = st.builds(
    Delta,
    content=st.none() | texts,
    reasoning_content=st.none() | texts,
    refusal=st.none() | texts,
    tool_calls=raws,
)
pieces_of_answers = st.lists(
    st.builds(ChunkChoice, st.builds(Delta, content=texts), st.integers(0, 2))
    | st.builds(ChunkChoice, deltas, st.integers(0, 2), logprobs=raws),
    max_size=30,
)


class Reader:
    def __init__(self) -> None:
        self.pieces: list[ChunkChoice] = []

    async def take(self, pieces: Sequence[ChunkChoice]) -> None:
        self.pieces += pieces


async def recorded(pieces: Sequence[ChunkChoice], *, max_bytes: int = 10**6) -> tuple[Said | None, list[ChunkChoice]]:
    reader = Reader()
    recording = Recording(reader.take, max_bytes=max_bytes)
    for start in range(0, len(pieces), 3):
        await recording.take(pieces[start : start + 3])
    return recording.said(END), reader.pieces


def meaning(pieces: Sequence[ChunkChoice]) -> list[object]:
    """An answer without regard to where its text is cut."""
    found: list[object] = []
    last: object = None
    for piece in pieces:
        delta = piece.delta
        if delta.content is not None and delta == Delta(content=delta.content) and piece.logprobs is UNSET:
            if last == piece.index:
                found[-1] = f"{found[-1]}{delta.content}"
            else:
                found.append(f"{piece.index}: {delta.content}")
            last = piece.index
        else:
            raw = [None if one is UNSET else bytes(one) for one in (delta.tool_calls, piece.logprobs)]
            found.append((piece.index, delta.content, delta.reasoning_content, delta.refusal, *raw))
            last = None
    return found


@given(pieces=pieces_of_answers)
async def test_an_answer_is_passed_on_and_given_again_as_it_was(pieces: list[ChunkChoice]) -> None:
    said, passed_on = await recorded(pieces)
    assert passed_on == pieces
    assert said
    assert meaning(said.pieces) == meaning(pieces)
    again = decoded(encoded(said))
    assert isinstance(again, Said)
    assert meaning(again.pieces) == meaning(pieces)
    assert again.end == END


async def test_plain_text_is_kept_in_few_pieces() -> None:
    said, _ = await recorded([ChunkChoice(Delta(content="word "))] * 1000)
    assert said
    assert len(said.pieces) == 3
    assert "".join(piece.delta.content or "" for piece in said.pieces) == "word " * 1000


@pytest.mark.parametrize("piece", [Delta(content="x" * 100), Delta(tool_calls=Raw(b"[" + b" " * 100 + b"]"))])
async def test_a_long_answer_is_passed_on_alone(piece: Delta) -> None:
    pieces = [ChunkChoice(piece)] * 20
    said, passed_on = await recorded(pieces, max_bytes=1000)
    assert said is None
    assert passed_on == pieces
    assert (await recorded(pieces[:2], max_bytes=1000))[0]


def test_embeddings_survive_as_bytes() -> None:
    embedded = Embedded((b"\0\1\2\3", b"\xff" * 8), 4)
    assert decoded(encoded(embedded)) == embedded


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"said":{"pieces":1}}', b"\xff\xfe", b"[" * 100_000])
def test_bytes_that_hold_no_answer(data: bytes) -> None:
    assert decoded(data) is None


def test_strangers_see_nothing_and_change_nothing() -> None:
    sealed = seal(KEY, b"the answer")
    assert b"answer" not in sealed
    assert len(sealed) == len(b"the answer") + SEAL_BYTES
    assert seal(KEY, b"the answer") != sealed
    assert unseal(KEY, sealed) == b"the answer"
    assert unseal(CacheKey("name", b"x" * 32), sealed) is None
    assert unseal(CacheKey("other", KEY.secret), sealed) is None, "moved to another name"
    for broken in (b"", sealed[:5], sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        assert unseal(KEY, broken) is None
