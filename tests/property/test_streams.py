"""Streams without I/O: credit is never exceeded, chunks are never lost, and a cheat is told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.errors import RemoteError
from hyperinfer.protocol.streams import MAX_WINDOW, Receiving, Sending, decode_chunk


@given(st.integers(min_value=1, max_value=64), st.lists(st.integers(min_value=1, max_value=20), max_size=100))
def test_a_sender_and_a_receiver_agree(window: int, batches: list[int]) -> None:
    sending, receiving = Sending("s", window), Receiving(window)
    sent: list[bytes] = []
    got: list[bytes] = []
    for batch in batches:
        left = batch
        while left:
            allowed = sending.allowed(left)
            if allowed == 0:
                taken = receiving.take()
                # Without credit there is always something to be read: the two never wait for each other.
                assert taken
                got += taken
                sending.granted(receiving.consumed(len(taken)))
                continue
            chunks = [b"%d" % (len(sent) + number) for number in range(allowed)]
            sent += chunks
            receiving.received(decode_chunk(sending.event(chunks)))
            left -= allowed
    got += receiving.take()
    assert got == sent


def test_a_missing_chunk_is_noticed() -> None:
    sending, receiving = Sending(1, 10), Receiving(10)
    sending.event([b"1"])
    with pytest.raises(RemoteError, match="lost chunks"):
        receiving.received(decode_chunk(sending.event([b"2"])))


def test_more_than_was_granted_is_noticed() -> None:
    sending, receiving = Sending(1, None), Receiving(2)
    with pytest.raises(RemoteError, match="more chunks than it was granted"):
        receiving.received(decode_chunk(sending.event([b"1", b"2", b"3"])))


@given(st.integers(), st.integers())
def test_no_grant_makes_credit_boundless(window: int, grant: int) -> None:
    sending = Sending(1, window)
    sending.granted(grant)
    assert sending.allowed(10 * MAX_WINDOW) <= MAX_WINDOW
