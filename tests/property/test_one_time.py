"""Codes that work once: understood as they were minted, for their one purpose, and nothing else is taken for one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol import api_keys, one_time

KINDS = (one_time.RESET, one_time.REGISTRATION)
LENGTH = len(one_time.mint(one_time.RESET))


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_is_of_its_kind_alone(kind: str) -> None:
    text = one_time.mint(kind)
    assert one_time.digest_of(text, kind) == api_keys.digest(text)
    assert [other for other in KINDS if one_time.digest_of(text, other)] == [kind]
    assert api_keys.parse(text) is None
    assert one_time.mint(kind) != text


@given(st.text() | st.from_regex(r"h[rc]_[0-9A-Za-z]{43,49}", fullmatch=True))
def test_text_without_the_checksum_is_no_code(text: str) -> None:
    # One text in 2**32 has a right checksum by chance, and then it is a code.
    for kind in KINDS:
        assert one_time.digest_of(text, kind) is None or (len(text) == LENGTH and text.startswith(kind))


@given(st.integers(0, LENGTH - 1), st.sampled_from([*string.printable, "ä", "\uff10", "\ud800"]))
def test_a_changed_character_is_noticed(at: int, letter: str) -> None:
    text = one_time.mint(one_time.RESET)
    changed = text[:at] + letter + text[at + 1 :]
    assert (one_time.digest_of(changed, one_time.RESET) is None) == (changed != text)
