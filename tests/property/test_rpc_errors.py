"""Errors as they travel: what a peer of ours raised, a peer of ours catches."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.errors import BY_CODE, HyperinferError, RateLimited, RemoteError, Unavailable
from hyperinfer.protocol import rpc_errors

CLASSES = sorted(BY_CODE.values(), key=lambda kind: kind.code)
DETAILS = st.dictionaries(
    st.sampled_from(["param", "limit_bytes", "model"]), st.integers(min_value=-(2**53), max_value=2**53) | st.text()
)


@given(st.sampled_from(CLASSES), st.text(), DETAILS)
def test_an_error_arrives_as_it_was_sent(kind: type[HyperinferError], message: str, details: dict[str, Any]) -> None:
    sent = kind(message, **details)
    got = rpc_errors.decode(rpc_errors.encode(sent))
    assert type(got) is kind
    assert got is not None
    assert (got.message, got.details) == (message, details)


@given(st.text())
def test_any_text_of_another_peer_is_an_error_and_not_a_crash(text: str) -> None:
    got = rpc_errors.decode(msgspec.json.encode(rpc_errors.SIGN + text))
    assert isinstance(got, HyperinferError)


@given(st.binary())
def test_what_does_not_begin_with_the_sign_is_an_answer(reply: bytes) -> None:
    got = rpc_errors.decode(reply)
    assert got is None or reply.startswith(b'"[HRPC_ERR]=')


@given(st.binary() | st.just(b" {" * 100_000 + b'}"') | st.just(b'A: b {"a":' * 5000))
def test_any_bytes_after_the_sign_are_an_error_and_not_a_crash(rest: bytes) -> None:
    assert isinstance(rpc_errors.decode(b'"[HRPC_ERR]=' + rest), HyperinferError)


@pytest.mark.parametrize("wait_s", ["soon", -1, 1e300, None, [1], 10**400])
def test_details_that_cannot_be_are_not_told_on(wait_s: object) -> None:
    """Whoever waits as long as it is told reckons with it; and a peer gives no names to what is ours."""
    told = json.dumps({"retry_after_s": wait_s, "message": "x", "self": "y", "limit": 3, "retryable": False})
    got = rpc_errors.decode(msgspec.json.encode(f"{rpc_errors.SIGN}UNAVAILABLE: Away. {told}"))
    assert isinstance(got, Unavailable)
    assert (got.message, got.details) == ("Away.", {"limit": 3})


def test_facs_net_finds_our_errors_by_their_first_characters() -> None:
    text = msgspec.json.decode(rpc_errors.encode(RateLimited("Slow {down}.", retry_after_s=3)))
    assert text[:15].startswith("[HRPC_ERR]=")
    assert text == '[HRPC_ERR]=RATE_LIMITED: Slow {down}. {"retryable":true,"retry_after_s":3}'


def test_an_error_of_facs_net_is_a_remote_error() -> None:
    got = rpc_errors.decode(b'"[HRPC_ERR]=ERR_FACS_NET_DATA_FORMAT"')
    assert isinstance(got, RemoteError)
    assert got.message == "ERR_FACS_NET_DATA_FORMAT"
