"""API keys: a key is understood as it was minted, and nothing else is taken for one."""

import string

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.protocol import api_keys

LENGTH = len(api_keys.mint().text)


@given(st.text() | st.from_regex(r"hi_[0-9A-Za-z]{8}_[0-9A-Za-z]{0,60}", fullmatch=True))
def test_text_without_the_checksum_is_no_key(text: str) -> None:
    parsed = api_keys.parse(text)
    # One text in 2**32 has a right checksum by chance, and then it is a key.
    assert parsed is None or (parsed.text == text and len(text) == LENGTH)


@given(st.integers(0, LENGTH - 1), st.sampled_from([*string.printable, "ä", "\uff10", "\ud800"]))
def test_a_changed_character_is_noticed(at: int, letter: str) -> None:
    text = api_keys.mint().text
    changed = text[:at] + letter + text[at + 1 :]
    assert (api_keys.parse(changed) is None) == (changed != text)


@given(st.integers(0, LENGTH - 2))
def test_two_neighbours_in_the_wrong_order_are_noticed(at: int) -> None:
    text = api_keys.mint().text
    changed = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    assert (api_keys.parse(changed) is None) == (changed != text)


@given(st.text(max_size=3), st.text(max_size=3))
def test_what_surrounds_a_key_is_not_ignored(before: str, after: str) -> None:
    text = api_keys.mint().text
    assert (api_keys.parse(before + text + after) is None) == bool(before or after)
